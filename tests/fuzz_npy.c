/* Any bytes as an npy file. */
#include "data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kin_ctx cx = {0};
    kin_npy a;
    if (kin_npy_parse(&cx, "fuzz", data, (int64_t)size, &a) == KIN_OK)
        (void)kin_fnv(KIN_FNV, a.data, (size_t)a.count * kin_npy_type_size(a.type));
    kin_npy_free(&a);
    return 0;
}
