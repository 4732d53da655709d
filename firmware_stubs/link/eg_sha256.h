/* SHA-256 (FIPS 180-4) over pieces of bytes; why it is written here: docs/adr/0003-firmware-sha256.md.
 * No allocation and no table beyond the standard's constants. Not for passwords, not for long-term signatures. */
#ifndef EG_SHA256_H
#define EG_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define EG_SHA256_SIZE 32u

typedef struct {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    uint8_t block[64];
} eg_sha256;

void eg_sha256_start(eg_sha256 *hash);
void eg_sha256_add(eg_sha256 *hash, const uint8_t *data, size_t length);
void eg_sha256_end(eg_sha256 *hash, uint8_t digest[EG_SHA256_SIZE]);

#endif
