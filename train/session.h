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

/* How the model was trained to say probabilities of cosines. */
typedef struct kin_scoring {
    double scale, bias; /* the logit scale, not its logarithm; the logit bias */
    bool pairwise;      /* trained with the sigmoid loss */
} kin_scoring;

kin_scoring kin_session_scoring(kin_ctx *cx, const kin_session *s);
/* p [n] of the cosines of one query with n candidates (p may be cosine): softmax(scale * cosine), or,
 * pairwise, sigmoid(scale * cosine + bias) of each. A NaN is no candidate, and stays NaN. */
void kin_score(const kin_scoring *how, const float *cosine, int64_t n, float *p);

#endif
