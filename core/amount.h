/* amount: quantities as people write and read them: "8GiB", "1h30min", "500Wh", "1e6pairs", "2PFLOP". */
#ifndef KIN_AMOUNT_H
#define KIN_AMOUNT_H
#include "core/base.h"

typedef enum kin_amount {
    KIN_BYTES,
    KIN_PAIRS,
    KIN_SECONDS,
    KIN_WATT_HOURS,
    KIN_FLOP,
    KIN_AMOUNTS
} kin_amount;

typedef struct kin_amounts {
    double of[KIN_AMOUNTS]; /* 0: nothing is said of it */
} kin_amounts;

/* Numbers with units, several separated by commas or blanks; amounts of one kind may stand together
 * (1h30min). KIN_ARG names what was not understood; `what` names the text. Units: s min h d, B kB KiB MB MiB
 * GB GiB G TB TiB T, Wh kWh, pairs, GFLOP TFLOP PFLOP EFLOP; case matters only for m (minutes) against M. */
kin_status kin_amounts_read(kin_ctx *cx, const char *what, const char *text, kin_amounts *out);

/* "1.23 GiB", "4.5 h"; into text [32], returned. */
const char *kin_amount_text(kin_amount kind, double value, char text[32]);

#endif
