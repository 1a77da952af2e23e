/* blas: matrix products by OpenBLAS, where it is installed. libkin never links it: Debian's OpenBLAS does not
 * know newer processors and takes them for old ones, unless OPENBLAS_CORETYPE is set before it is loaded. One
 * thread a call, from inside kin's own parallel regions: its own threads change the bits of results. */
#ifndef KIN_CPU_BLAS_H
#define KIN_CPU_BLAS_H
#include <stdbool.h>

/* cblas_sgemm */
typedef void (*kin_sgemm_fn)(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                             int lda, const float *b, int ldb, float beta, float *c, int ldc);
enum { KIN_BLAS_ROWS = 101, KIN_BLAS_PLAIN = 111, KIN_BLAS_TURNED = 112 }; /* cblas.h's numbers */

/* Loads OpenBLAS on the first call; NULL: it is not there. */
kin_sgemm_fn kin_blas_sgemm(void);
/* What OpenBLAS has for this processor: "SkylakeX", "Zen", "Haswell", or "" (it finds out itself). */
const char *kin_blas_core(void);
/* What it took itself for when it was loaded: OPENBLAS_CORETYPE, where a user has set it. "" before. */
const char *kin_blas_loaded(void);
/* May the table (gemm_table.def) name OpenBLAS for some product on this processor? For this one? */
bool kin_blas_has_rows(void);
bool kin_blas_is_faster(bool ta, bool tb, long long m, long long n, long long k);

#endif
