/* From reset to main, and what a fault does: see eg_armv7m.h. Nothing here knows a part or a board.
 * A fault stops the core, and the watchdog resets it: there is no way to go on from one. */
#include "eg_armv7m.h"

#define MPU_CONTROL ((volatile uint32_t *)0xE000ED94u)
#define MPU_REGION ((volatile uint32_t *)0xE000ED98u)
#define MPU_BASE ((volatile uint32_t *)0xE000ED9Cu)
#define MPU_ATTRIBUTES ((volatile uint32_t *)0xE000EDA0u)
#define MPU_ENABLE 1u /* and no background region */
#define CODE_READ_ONLY ((6u << 24) | (1u << 17))
#define DATA_NEVER_RUN ((1u << 28) | (3u << 24) | (1u << 17))
#define DEVICE_NEVER_RUN ((1u << 28) | (3u << 24) | (1u << 16))
#define PERIPHERALS 0x40000000u
#define PERIPHERALS_SIZE 29u

extern uint32_t eg_stack_top, eg_data_start, eg_data_end, eg_data_load, eg_bss_start, eg_bss_end, eg_kept_start;

/* Written before reset by whoever provisions the board; a real part has it in one-time memory and a random source. */
extern const eg_identity eg_provision;

/* Survives a watchdog reset, so that no seed is used twice. It does not survive a loss of power: there the port's random
 * words make the seed new, and whoever starts the emulator, which has none, writes a new seed each time. */
__attribute__((section(".noinit"))) static uint32_t boots;

static eg_identity identity;

int main(void);

/* With a stack of its own again: the one that the fault came with may be what was broken, and the watchdog's warning,
 * which no fault holds up, needs one. */
__attribute__((naked)) void eg_stopped(void) {
    __asm volatile("cpsid i\n"
                   "ldr sp, =eg_stack_top\n"
                   "0: b 0b\n");
}

void eg_reset(void) {
    const uint32_t *from = &eg_data_load;
    for (uint32_t *to = &eg_data_start; to < &eg_data_end; to++) {
        *to = *from;
        from++;
    }
    for (uint32_t *to = &eg_bss_start; to < &eg_bss_end; to++) {
        *to = 0u;
    }
    (void)main();
    eg_stopped();
}

static void protect(uint32_t region, uint32_t base, uint32_t size, uint32_t attributes) {
    *MPU_REGION = region;
    *MPU_BASE = base;
    *MPU_ATTRIBUTES = attributes | ((size - 1u) << 1) | 1u;
}

/* The eighths of the data between the variables and what survives a reset, as the bits that take them out of a region. */
static uint32_t gap(uint32_t data, uint32_t data_size) {
    const uint32_t eighth = 1u << (data_size - 3u);
    const uint32_t first = (((uint32_t)&eg_bss_end - data) + (eighth - 1u)) / eighth;
    const uint32_t end = ((uint32_t)&eg_kept_start - data) / eighth;
    return ((1u << end) - (1u << first)) << 8;
}

void eg_protect_memory(uint32_t code, uint32_t code_size, uint32_t data, uint32_t data_size) {
    protect(0u, code, code_size, CODE_READ_ONLY);
    protect(1u, data, data_size, DATA_NEVER_RUN | gap(data, data_size));
    protect(2u, PERIPHERALS, PERIPHERALS_SIZE, DEVICE_NEVER_RUN);
    *MPU_CONTROL = MPU_ENABLE;
    __asm volatile("dsb\nisb" ::: "memory");
}

const eg_identity *eg_provisioned(const uint32_t random[EG_RANDOM_WORDS]) {
    identity = eg_provision;
    for (uint32_t i = 0u; i < EG_SEED_SIZE; i++) {
        identity.seed[i] ^= (uint8_t)(random[i / 4u] >> (8u * (i % 4u)));
    }
    boots++;
    for (uint32_t i = 0u; i < 4u; i++) {
        identity.seed[i] ^= (uint8_t)(boots >> (8u * i));
    }
    return &identity;
}

uint64_t eg_widened(uint32_t now_us) {
    static uint32_t last_us = 0u;
    static uint64_t wraps = 0u;
    if (now_us < last_us) {
        wraps++;
    }
    last_us = now_us;
    return (wraps << 32) | now_us;
}
