#include "nn/fusion.h"

/* name, rows, patches, towers, experts, build */
const kin_fusion_row kin_fusions[] = {
    {"none", false, false, true, false, NULL},
    {"late", false, false, true, false, kin_fuse_late},
    {"xattn", true, false, true, false, kin_fuse_xattn},
    {"joint", true, true, false, false, kin_fuse_joint},
    {"mmt", true, true, true, false, kin_fuse_mmt},
    {"experts", true, true, true, true, kin_fuse_experts},
    {NULL, false, false, false, false, NULL},
};

const char *const *kin_fusion_names(void)
{
    enum { ROWS = sizeof kin_fusions / sizeof *kin_fusions };
    static const char *names[ROWS];
    for (int i = 0; i < ROWS; i++) names[i] = kin_fusions[i].name;
    return names;
}
