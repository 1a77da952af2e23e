/* session: a trained model, ready to embed: its folder, a backend, its programs. What sub-commands and the C
 * API are made of. */
#ifndef KIN_SESSION_H
#define KIN_SESSION_H
#include "train/embed.h"

typedef struct kin_session {
    kin_backend *backend;
    kin_model *model;
    kin_programs programs;
    kin_embedder embedder;
} kin_session;

/* threads 0: all cores; batch: pictures or texts embedded at once. Free with kin_session_close, also after a
 * failure. */
kin_status kin_session_open(kin_ctx *cx, kin_session *s, const char *folder, int threads, int64_t batch);
void kin_session_close(kin_session *s);

double kin_session_scale(kin_ctx *cx, const kin_session *s); /* the logit scale, not its logarithm */
/* The logit bias, of models of the sigmoid loss; false: there is none. */
bool kin_session_bias(kin_ctx *cx, const kin_session *s, double *bias);

#endif
