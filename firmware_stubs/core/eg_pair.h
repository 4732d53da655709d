/* The core twice: each step is computed on two copies of the state, the second kept complemented, and both must agree.
 * A bit that flips in memory or in a register shows as a difference before anything is driven.
 * What it cannot see is a fault common to both copies: the table in flash, the inputs, the clock. */
#ifndef EG_PAIR_H
#define EG_PAIR_H

#include "eg_core.h"

typedef struct {
    eg_state state;
    uint8_t complement[sizeof(eg_state)];
    const eg_table *agreed_under; /* written by each step: the caller sees that it was this pair's, and under which table */
} eg_pair;

/* Makes the second copy anew from the first. */
void eg_pair_renew(eg_pair *pair);

/* As eg_init, for both copies. */
void eg_pair_init(const eg_table *table, eg_pair *pair, const eg_retained *retained, uint64_t now_us);

/* As eg_lock, for both copies. */
void eg_pair_lock(eg_pair *pair, eg_reason reason, uint8_t latches);

/* One step of both copies. False: they differ, and neither `first` nor `second` may be acted on. */
bool eg_pair_step(const eg_table *table, eg_pair *pair, const eg_inputs *inputs, uint64_t now_us, eg_outputs *first,
                  eg_outputs *second);

#endif
