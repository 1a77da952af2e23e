/* weights_case: attention's samples, and the weights that attention_weights makes of them. */
#ifndef KIN_WEIGHTS_CASE_H
#define KIN_WEIGHTS_CASE_H
#include "tests/op_case.h"

typedef struct weights_case {
    op_case c;    /* of attention, run forward */
    kin_tensor w; /* [sum Tq, H, K] on the host; K has room for one key more than there are */
} weights_case;

/* False past attention's last sample. Fails the running test when anything around w was written. */
bool weights_open(weights_case *w, kin_backend *b, int sample);
void weights_close(weights_case *w);

/* As the f64 reference has them; zero exactly where nothing is seen; rows sum to 1; times v they are
 * attention's own output (tol_out). Fails the running test if not. */
void weights_check(const weights_case *w, const weights_case *truth, double tol, double tol_out);

#endif
