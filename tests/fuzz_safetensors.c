/* Any bytes as a safetensors file: every byte of every tensor is read. */
#include <stdlib.h>

#include "core/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kin_ctx cx = {0};
    kin_st *st = kin_st_parse(&cx, "fuzz", data, (int64_t)size);
    if (!st) return 0;
    for (int64_t i = 0; i < kin_st_size(st); i++) {
        const kin_st_entry *e = kin_st_at(st, i);
        uint64_t h = kin_fnv(KIN_FNV, e->data, (size_t)e->bytes);
        if (kin_st_find(st, e->name) != e || h == 0) abort();
        float *out = kin_alloc(&cx, e->count, sizeof *out);
        if (out) kin_st_read_f32(&cx, e, out, e->count);
        free(out);
        kin_clear(&cx);
    }
    kin_st_close(st);
    return 0;
}
