/* A plug-in made for another kin: it must be refused before anything of it runs. */
#include <stdlib.h>

#include "core/plugin.h"

static kin_backend *open_nothing(kin_ctx *cx)
{
    (void)cx;
    abort();
}

extern __attribute__((visibility("default"))) const kin_plugin kin_plugin_v1;
const kin_plugin kin_plugin_v1 = {KIN_PLUGIN_ABI, 0x1234, "other", open_nothing};
