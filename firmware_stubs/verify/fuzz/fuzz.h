/* What every fuzz target here shares: the input read as a program, and a claim that ends the run when it is false.
 * A target is one function over bytes, so that libFuzzer and replay.c can both drive it. Reading past the end gives 0. */
#ifndef EG_FUZZ_H
#define EG_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "eg_wire.h"

#define REQUIRE(claim)                                                                   \
    do {                                                                                 \
        if (!(claim)) {                                                                  \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #claim); \
            abort();                                                                     \
        }                                                                                \
    } while (0)

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} input;

static inline uint8_t take8(input *in) {
    if (in->at == in->end) {
        return 0u;
    }
    in->at++;
    return in->at[-1];
}

static inline uint32_t take32(input *in) {
    uint32_t value = 0u;
    for (uint32_t i = 0u; i < 4u; i++) {
        value |= (uint32_t)take8(in) << (8u * i);
    }
    return value;
}

static inline void take_bytes(input *in, uint8_t *out, uint32_t count) {
    for (uint32_t i = 0u; i < count; i++) {
        out[i] = take8(in);
    }
}

/* Changes one byte. C does not say in which order two calls in one expression are made: hence a function. */
static inline void take_change(input *in, uint8_t *data, size_t length) {
    const size_t place = take8(in) % length;
    data[place] ^= take8(in);
}

/* Not the public test keys: a frame of the vectors in a corpus must not look as if this run had signed it. */
static const eg_keys FUZZ_KEYS = {.key = {"a key that only fuzz targets use", "and one more, for the operator s"}};

static inline uint8_t size_of(uint32_t message) {
    static const uint8_t SIZES[] = {EG_HELLO_SIZE, EG_OPEN_SIZE, EG_COMMAND_SIZE, EG_STATUS_SIZE, EG_OFFER_SIZE};
    return SIZES[message - EG_HELLO];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
