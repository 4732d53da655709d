/* Bytes from one interrupt handler to the main loop. One side only pushes, the other only pops: no lock is needed.
 * A full ring loses the byte, and its frame fails its checksum. */
#ifndef EG_RING_H
#define EG_RING_H

#include <stdbool.h>
#include <stdint.h>

#define EG_RING_SIZE 1024u /* a power of two: indices wrap by themselves */

typedef struct {
    volatile uint32_t in, out;
    volatile uint8_t data[EG_RING_SIZE]; /* so that no byte is moved past the index that says it is there */
} eg_ring;

static inline bool eg_ring_empty(const eg_ring *ring) {
    const uint32_t in = ring->in;
    return in == ring->out;
}

static inline void eg_ring_push(eg_ring *ring, uint8_t byte) {
    const uint32_t in = ring->in;
    if ((in - ring->out) < EG_RING_SIZE) {
        ring->data[in % EG_RING_SIZE] = byte;
        ring->in = in + 1u;
    }
}

static inline bool eg_ring_pop(eg_ring *ring, uint8_t *byte) {
    const uint32_t out = ring->out;
    if (out == ring->in) {
        return false;
    }
    *byte = ring->data[out % EG_RING_SIZE];
    ring->out = out + 1u;
    return true;
}

#endif
