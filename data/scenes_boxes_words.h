/* scenes_boxes_words: the parts that sentences about boxes are made of (data/scenes_boxes_text.h). */
#ifndef KIN_SCENES_BOXES_WORDS_H
#define KIN_SCENES_BOXES_WORDS_H
#include "data/scenes_boxes_text.h"

/* Words with alternatives left open: "[wall|edge]" is one of the two, drawn when the sentence is whole. */
typedef struct kin_words {
    char s[2 * KIN_BOXES_TEXT];
} kin_words;

kin_words kin_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

extern const char *const kin_say_color[KIN_BOX_COLORS];
extern const char *const kin_say_shape[KIN_BOX_SHAPES];
extern const char *const kin_say_number[]; /* "[three|3]"; 0 to 7 */

static inline int kin_below(kin_rng *r, int n)
{
    return (int)kin_rng_below(r, (uint32_t)n);
}

static inline int kin_say_any_color(kin_rng *r)
{
    return kin_below(r, KIN_BOX_COLORS);
}

static inline const char *kin_say_s(bool plural)
{
    return plural ? "s" : "";
}

static inline kin_box_clause kin_box_count(kin_box_what what, kin_box_compare is, int n)
{
    return (kin_box_clause){.ask = KIN_ASK_COUNT, .what = what, .is = is, .n = n};
}

static inline void kin_box_also(kin_box_claim *c, kin_box_clause k)
{
    c->clause[c->clauses++] = k;
}

/* How many of something, and the words up to its name: "exactly two". */
typedef struct kin_many {
    kin_box_compare is;
    int n;
    bool plural;
    kin_words lead;
} kin_many;

enum { KIN_SAY_NO = 1, KIN_SAY_A = 2 }; /* may there be none of it; may it be just "a" */
kin_many kin_say_many(kin_rng *r, int most, int also);

/* A kind of item, and its name. */
typedef struct kin_kind {
    kin_box_what what;
    kin_words one, more;
} kin_kind;

kin_kind kin_say_block(int color);
/* "item", "black item", "black triangle", "triangle": how many eighths of the time each */
typedef enum kin_thing { KIN_ANY_THING, KIN_A_THING, KIN_A_COLORED } kin_thing;
kin_kind kin_say_thing(kin_rng *r, kin_thing which);

/* "There are exactly two towers with", "One of the three towers has": the boxes that are counted. */
kin_words kin_say_boxes(kin_rng *r, kin_box_claim *c);

/* Clauses, and words that follow "with": of a kind of item; of colors ("only black and blue items"). */
kin_words kin_say_some(kin_rng *r, kin_box_claim *c, kin_kind k, int also, const char *where);
kin_words kin_say_colors(kin_rng *r, kin_box_claim *c);

/* One of n functions, each drawn `times` of the sum of all. */
typedef struct kin_say_choice {
    int times;
    kin_words (*say)(kin_rng *r, kin_box_claim *c);
} kin_say_choice;
kin_words kin_say_one_of(const kin_say_choice *of, int n, kin_rng *r, kin_box_claim *c);
#define KIN_SAY_ONE_OF(of, r, c) kin_say_one_of(of, (int)(sizeof(of) / sizeof *(of)), r, c)

kin_words kin_say_of_towers(kin_rng *r, kin_box_claim *c);
kin_words kin_say_of_items(kin_rng *r, kin_box_claim *c);

#endif
