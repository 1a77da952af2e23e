/* crc32c: the Castagnoli checksum (polynomial 0x1EDC6F41, reflected), as in iSCSI and TensorBoard's files.
 * kin_crc32c(0, "123456789", 9) == 0xe3069283. Uses the processor's instruction where there is one. */
#ifndef KIN_CRC32C_H
#define KIN_CRC32C_H
#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to start) over size bytes: kin_crc32c(kin_crc32c(0, a, n), b, m) is that of a then b. */
uint32_t kin_crc32c(uint32_t crc, const void *data, size_t size);
/* The same by table alone, on any processor: what tests compare with. */
uint32_t kin_crc32c_table(uint32_t crc, const void *data, size_t size);
/* TensorBoard's masking: rotr32(crc, 15) + 0xa282ead8. */
uint32_t kin_crc32c_masked(uint32_t crc);

#endif
