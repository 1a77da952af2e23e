/* Any bytes as a table of pairs, as columns are found out and as they are named. */
#include <stdlib.h>
#include <string.h>

#include "data/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const kin_dataset_cfg cfg[] = {{.split = "train"},
                                   {.separator = ",", .image_key = "a", .caption_key = "b"},
                                   {.labels = KIN_LABELS_IF}};
    for (int k = 0; k < 3; k++) {
        kin_ctx cx = {0};
        const kin_map text = {data, (int64_t)size};
        kin_dataset *d = kin_alloc0(&cx, 1, sizeof *d);
        if (!d) return 0;
        if (kin_table_read(&cx, d, "tests/golden/image/fuzz.csv", &text, &cfg[k]) == KIN_OK &&
            (!d->label || kin_dataset_labelled(&cx, d, k < 2) == KIN_OK)) {
            for (int64_t i = 0; i < d->captions; i++)
                if (d->item_of[i] < 0 || d->item_of[i] >= d->items || !*d->caption[i]) abort();
            for (int64_t i = 0; d->label && i < d->captions; i++) {
                const kin_label *l = &d->label[i];
                if (l->label < 0 || l->label >= d->classes || l->target + l->targets > d->softs) abort();
            }
        }
        kin_dataset_close(d);
    }
    return 0;
}
