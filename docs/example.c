/* Which of these words fits each picture best? A whole program over kin.h.
 *
 *   cc example.c $(pkg-config --cflags --libs kin) -o example
 *   ./example run/best "a red ring,a blue star" photo1.jpg photo2.png */
#include <kin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 100 };

static int failed(kin *k)
{
    fprintf(stderr, "example: %s\n", kin_error(k));
    kin_close(k);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: example MODEL WORDS,WORDS... PICTURE...\n");
        return 2;
    }
    const char *words[MOST];
    int64_t texts = 0;
    for (char *w = strtok(argv[2], ","); w && texts < MOST; w = strtok(NULL, ",")) words[texts++] = w;
    const char *const *paths = (const char *const *)argv + 3;
    const int64_t pictures = argc - 3;

    kin *k = kin_open(argv[1], 0);
    if (kin_error(k)) return failed(k);
    const size_t row = (size_t)kin_embedding_width(k) * sizeof(float);
    float *text = malloc((size_t)texts * row + 1), *image = malloc((size_t)pictures * row);
    float *p = malloc((size_t)(pictures * texts) * sizeof *p + 1);
    if (!text || !image || !p) return 1;
    if (kin_embed_text(k, words, texts, text) || kin_embed_files(k, paths, pictures, image) ||
        kin_probabilities(k, image, pictures, text, texts, p))
        return failed(k);
    for (int64_t i = 0; i < pictures; i++)
        for (int64_t j = 0; j < texts; j++)
            printf("%s\t%s\t%.4f\n", paths[i], words[j], (double)p[i * texts + j]);
    free(text);
    free(image);
    free(p);
    kin_close(k);
    return 0;
}
