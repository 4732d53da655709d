/* SHA-256 as FIPS 180-4 writes it down, names included. Tested with the standard's vectors.
 * Nothing here depends on secret data's value but its length. */
#include "eg_sha256.h"

static const uint32_t K[64] = {
    0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u, 0xab1c5ed5u,
    0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu, 0x9bdc06a7u, 0xc19bf174u,
    0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu, 0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau,
    0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u, 0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u,
    0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu, 0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u,
    0xa2bfe8a1u, 0xa81a664bu, 0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u,
    0x19a4c116u, 0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
    0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u, 0xc67178f2u};

static uint32_t rotr(uint32_t x, uint32_t n) {
    return (x >> n) | (x << (32u - n));
}

static void schedule(uint32_t w[64], const uint8_t block[64]) {
    for (uint32_t t = 0u; t < 16u; t++) {
        const uint8_t *b = &block[4u * t];
        w[t] = ((uint32_t)b[0] << 24) | ((uint32_t)b[1] << 16) | ((uint32_t)b[2] << 8) | (uint32_t)b[3];
    }
    for (uint32_t t = 16u; t < 64u; t++) {
        const uint32_t s0 = rotr(w[t - 15u], 7u) ^ rotr(w[t - 15u], 18u) ^ (w[t - 15u] >> 3);
        const uint32_t s1 = rotr(w[t - 2u], 17u) ^ rotr(w[t - 2u], 19u) ^ (w[t - 2u] >> 10);
        w[t] = s1 + w[t - 7u] + s0 + w[t - 16u];
    }
}

static void compress(uint32_t state[8], const uint8_t block[64]) {
    uint32_t w[64];
    schedule(w, block);
    uint32_t a = state[0];
    uint32_t b = state[1];
    uint32_t c = state[2];
    uint32_t d = state[3];
    uint32_t e = state[4];
    uint32_t f = state[5];
    uint32_t g = state[6];
    uint32_t h = state[7];
    for (uint32_t t = 0u; t < 64u; t++) {
        const uint32_t big1 = rotr(e, 6u) ^ rotr(e, 11u) ^ rotr(e, 25u);
        const uint32_t t1 = h + big1 + ((e & f) ^ (~e & g)) + K[t] + w[t];
        const uint32_t big0 = rotr(a, 2u) ^ rotr(a, 13u) ^ rotr(a, 22u);
        const uint32_t t2 = big0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void eg_sha256_start(eg_sha256 *hash) {
    *hash = (eg_sha256){.state = {0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu,
                                  0x1f83d9abu, 0x5be0cd19u}};
}

void eg_sha256_add(eg_sha256 *hash, const uint8_t *data, size_t length) {
    for (size_t i = 0u; i < length; i++) {
        hash->block[hash->length % 64u] = data[i];
        hash->length++;
        if ((hash->length % 64u) == 0u) {
            compress(hash->state, hash->block);
        }
    }
}

void eg_sha256_end(eg_sha256 *hash, uint8_t digest[EG_SHA256_SIZE]) {
    const uint64_t bits = hash->length * 8u;
    const uint8_t one = 0x80u;
    const uint8_t zero = 0x00u;
    eg_sha256_add(hash, &one, 1u);
    while ((hash->length % 64u) != 56u) {
        eg_sha256_add(hash, &zero, 1u);
    }
    for (uint32_t i = 0u; i < 8u; i++) {
        const uint8_t byte = (uint8_t)(bits >> (56u - (8u * i)));
        eg_sha256_add(hash, &byte, 1u);
    }
    for (uint32_t i = 0u; i < EG_SHA256_SIZE; i++) {
        digest[i] = (uint8_t)(hash->state[i / 4u] >> (24u - (8u * (i % 4u))));
    }
}
