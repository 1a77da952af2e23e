#include "core/crc32c.h"

#include <string.h>

/* A row of the table of the reflected polynomial. The table is made anew in each call: only processors
 * without the instruction, and tests, take this way. */
static uint32_t entry(uint32_t byte)
{
    for (int bit = 0; bit < 8; bit++) byte = byte >> 1 ^ (byte & 1 ? 0x82f63b78u : 0);
    return byte;
}

uint32_t kin_crc32c_table(uint32_t crc, const void *data, size_t size)
{
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; i++) table[i] = entry(i);
    const uint8_t *p = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) crc = crc >> 8 ^ table[(crc ^ p[i]) & 255];
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t size)
{
    uint64_t c = ~crc;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    for (; size > 0; p++, size--) c = __builtin_ia32_crc32qi((uint32_t)c, *p);
    return ~(uint32_t)c;
}

uint32_t kin_crc32c(uint32_t crc, const void *data, size_t size)
{
    if (__builtin_cpu_supports("sse4.2")) return by_instruction(crc, data, size);
    return kin_crc32c_table(crc, data, size);
}
#else
uint32_t kin_crc32c(uint32_t crc, const void *data, size_t size)
{
    return kin_crc32c_table(crc, data, size);
}
#endif

uint32_t kin_crc32c_masked(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}
