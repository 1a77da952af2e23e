/* plugin: a backend in a shared library of its own (libkin_cuda.so), found when it is asked for, so that kin
 * itself needs none of the libraries that the plug-in does. */
#ifndef KIN_PLUGIN_H
#define KIN_PLUGIN_H
#include "core/backend.h"

enum { KIN_PLUGIN_ABI = 1 };

/* What a plug-in exports, under the name kin_plugin_v1. */
typedef struct kin_plugin {
    uint32_t abi;      /* KIN_PLUGIN_ABI: of this struct */
    uint64_t ops_hash; /* kin_ops_hash: of the tables, and of the structs that go across */
    const char *name;
    kin_backend *(*init)(kin_ctx *cx); /* NULL, and why in cx, when there is no such device */
} kin_plugin;

/* The backend of libkin_<name>.so: in the folder that KIN_PLUGINS names, or beside the program, in ../lib, or
 * where the dynamic loader looks. One made for another kin is refused. */
kin_backend *kin_plugin_open(kin_ctx *cx, const char *name);

/* The backend for a device: "cpu" (threads and isa as for kin_backend_cpu) or a plug-in's name. */
kin_backend *kin_backend_open(kin_ctx *cx, const char *device, int threads, const char *isa);

#endif
