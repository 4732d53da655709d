/* Two copies of the core that must agree: see eg_pair.h. A translation unit of its own, so that no compiler that works
 * file by file can see that the second computation repeats the first.
 * Compares bytes: the structs have no padding, and that is checked here. */
#include "eg_pair.h"

#include <stddef.h>

_Static_assert(sizeof(eg_channel) == 24u, "eg_channel has padding");
_Static_assert(sizeof(eg_state) == (24u + (sizeof(eg_channel) * EG_ACTUATORS)), "eg_state has padding");
_Static_assert(sizeof(eg_outputs) == (8u + (4u * EG_ACTUATORS)), "eg_outputs has padding");

/* Complemented, and at each place differently: seen through a pointer that bends by some bytes, the copies do not agree.
 * Reading a struct as bytes, and writing it so, is what C allows for any object. */
static void flip(const uint8_t *from, uint8_t *to, size_t size) {
    for (size_t i = 0u; i < size; i++) {
        to[i] = (uint8_t)(from[i] ^ 0xFFu ^ (i + (i >> 8)));
    }
}

static bool same(const uint8_t *a, const uint8_t *b, size_t size) {
    uint8_t difference = 0u;
    for (size_t i = 0u; i < size; i++) {
        difference |= (uint8_t)(a[i] ^ b[i]);
    }
    return difference == 0u;
}

void eg_pair_renew(eg_pair *pair) {
    flip((const uint8_t *)&pair->state, pair->complement, sizeof pair->state);
}

void eg_pair_init(const eg_table *table, eg_pair *pair, const eg_retained *retained, uint64_t now_us) {
    eg_init(table, &pair->state, retained, now_us);
    eg_pair_renew(pair);
}

void eg_pair_lock(eg_pair *pair, eg_reason reason, uint8_t latches) {
    eg_lock(&pair->state, reason, latches);
    eg_pair_renew(pair);
}

bool eg_pair_step(const eg_table *table, eg_pair *pair, const eg_inputs *inputs, uint64_t now_us, eg_outputs *first,
                  eg_outputs *second) {
    /* In memory of their own: a fault that bends one pointer must not bend both computations. */
    const eg_table *const volatile table_again = table;
    const eg_inputs *const volatile inputs_again = inputs;
    eg_state other;
    flip(pair->complement, (uint8_t *)&other, sizeof other);
    *first = eg_step(table, &pair->state, inputs, now_us);
    *second = eg_step(table_again, &other, inputs_again, now_us);
    flip((const uint8_t *)&other, pair->complement, sizeof other);
    const bool states = same((const uint8_t *)&pair->state, (const uint8_t *)&other, sizeof other);
    const bool agree = states && same((const uint8_t *)first, (const uint8_t *)second, sizeof *first);
    pair->agreed_under = agree ? table : NULL;
    return agree;
}
