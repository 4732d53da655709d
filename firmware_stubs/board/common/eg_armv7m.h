/* What every Cortex-M3 or M4 port shares: from reset to main, faults, memory protection, identity, the clock's width.
 * Registers here are those of the ARMv7-M architecture; those of a part belong in its port.
 * Sections and eg_provision are placed by the port's memory.ld. */
#ifndef EG_ARMV7M_H
#define EG_ARMV7M_H

#include "eg_port.h"

typedef void (*eg_handler)(void);

/* In the vector table: the reset, and every exception and interrupt that has no handler. */
void eg_reset(void);
void eg_stopped(void);

/* From now on only code runs, and nobody writes it; only data and peripherals can be written, and what is none of the
 * three cannot be read either. Below the stack lies nothing, so that a stack that grows out of its room faults;
 * between the variables and what survives a reset lies a gap, so that a write that runs away faults before it gets there.
 * Sizes are powers of two, given as exponents; a region begins at a multiple of its size. */
void eg_protect_memory(uint32_t code, uint32_t code_size, uint32_t data, uint32_t data_size);

/* The provisioned keys, with a seed of this boot: the provisioned one, and in it `random` and the count of resets. */
#define EG_RANDOM_WORDS (EG_SEED_SIZE / 4u)
const eg_identity *eg_provisioned(const uint32_t random[EG_RANDOM_WORDS]);

/* A 32-bit counter at 1 MHz as 64 bits. It wraps after 71 minutes; the main loop asks far more often. */
uint64_t eg_widened(uint32_t now_us);

#endif
