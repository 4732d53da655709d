/* From reset to main on the mps2-an385: vectors, data, bss. Nothing else may happen here.
 * An exception that nobody handles stops the core, and the watchdog resets it. */
#include <stdint.h>

extern uint32_t eg_stack_top, eg_data_start, eg_data_end, eg_data_load, eg_bss_start, eg_bss_end;

int main(void);
void eg_reset(void);
void eg_link_received(void);
void eg_timer_fired(void);
static void stop(void);

static void stop(void) {
    for (;;) {
    }
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
    stop();
}

typedef void (*handler)(void);

typedef struct {
    uint32_t *stack;
    handler entry[24];
} vectors;

/* The stack, the 15 system exceptions, interrupt 0: UART 0 received, interrupt 8: timer 0. The watchdog warns by NMI. */
__attribute__((section(".vectors"), used)) static const vectors table = {
    .stack = &eg_stack_top,
    .entry = {eg_reset, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop, stop,
              eg_link_received, stop, stop, stop, stop, stop, stop, stop, eg_timer_fired},
};
