/* plot: curves of models under noise as one picture: a panel a kind of noise, a colour a model. */
#ifndef KIN_PLOT_H
#define KIN_PLOT_H
#include "core/json.h"

/* curves: kin_eval_noise's object. chance: a dashed line at that height; below 0: none. Writes a PNG. */
kin_status plot_noise(kin_ctx *cx, const char *path, const json_t *curves, const char *title, double chance);

#endif
