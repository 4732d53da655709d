/* What the firmware finds around the processor: two UARTs that receive, one for records, timer, counter, watchdog,
 * interrupt enables, and the output stages, which take a value only with its complement. See machine.h.
 * A reset of the watchdog resets all of them but the output stages, which hold what they have. */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#define TIMER 0x40000000u
#define UART_LINK 0x40004000u
#define UART_RECORD 0x40005000u
#define UART_SENSE 0x40006000u
#define WATCHDOG 0x40008000u
#define OUTPUTS 0x40010000u
#define CLOCK 0x40028000u
#define SYSTEM 0xE000E000u
#define COUNTER (CLOCK + 0x18u)
#define PRESCALE (CLOCK + 0x1Cu)
#define NVIC_SET (SYSTEM + 0x100u)
#define MPU_BASE (SYSTEM + 0xD9Cu)
#define MPU_ATTRIBUTES (SYSTEM + 0xDA0u)

#define BYTE_CYCLES 271u /* 10 bits at 921,600 baud */
#define WATCHDOG_KEY 0x1ACCE551u
#define IRQ_TIMER 8u

static const uint32_t BASES[FL_DEVICES] = {TIMER,    UART_LINK, UART_RECORD, UART_SENSE,
                                           WATCHDOG, OUTPUTS,   CLOCK,       SYSTEM};
static const uint32_t UART_IRQ[FL_UARTS] = {0u, 4u};

uint64_t fl_now(const fl_machine *m) {
    return m->board.instructions + m->board.slept;
}

static void note(fl_machine *m, uint32_t actuator, int32_t value) {
    if (m->log_used < FL_LOG) {
        m->log[m->log_used++] = (fl_change){fl_now(m) / FL_CYCLES, actuator, value};
    }
}

/* ---- output stages --------------------------------------------------------------------------------------------- */

static void write_output(fl_machine *m, uint32_t offset, uint32_t value) {
    fl_board *b = &m->board;
    const uint32_t index = offset / 8u;
    if (index >= FL_ACTUATORS) {
        return;
    }
    if (offset % 8u == 0u) {
        b->waiting[index] = value;
    } else if (value != ~b->waiting[index]) {
        b->refused++;
    } else if (b->output[index] != (int32_t)~value || b->driven[index] == 0u) {
        b->output[index] = (int32_t)~value;
        b->driven[index] = 1u;
        note(m, index, b->output[index]);
    }
}

/* ---- registers ------------------------------------------------------------------------------------------------- */

static uint32_t read_uart(fl_uart *uart, uint32_t offset) {
    switch (offset) {
        case 0x0u:
            uart->full = 0u;
            return uart->data;
        case 0x4u:
            return uart->full ? 2u : 0u;
        case 0xCu:
            return uart->interrupt;
        default:
            return 0u;
    }
}

static uint64_t read_device(uc_engine *uc, uint64_t offset, unsigned size, void *user) {
    fl_machine *m = ((fl_device *)user)->machine;
    const uint32_t base = ((fl_device *)user)->base;
    fl_board *b = &m->board;
    (void)uc;
    (void)size;
    if (base == UART_LINK || base == UART_SENSE) {
        return read_uart(&b->uart[(base == UART_LINK) ? FL_LINK : FL_SENSE], (uint32_t)offset);
    }
    if (base + offset == COUNTER) {
        return (uint32_t)((fl_now(m) - b->counter_base) / (b->prescale + 1u));
    }
    return 0u; /* UART_RECORD is never full */
}

static void write_uart(fl_machine *m, fl_uart *uart, uint32_t offset, uint32_t value) {
    if (offset == 0x8u) {
        uart->control = value;
    } else if (offset == 0xCu) {
        uart->interrupt &= ~value;
    } else if (offset == 0x0u && uart == &m->board.uart[FL_LINK] && m->sent_used < FL_SENT) {
        m->sent[m->sent_used++] = (uint8_t)value;
    }
}

static void write_timer(fl_machine *m, uint32_t offset, uint32_t value) {
    fl_board *b = &m->board;
    if (offset == 0x0u) {
        b->timer_control = value;
        b->timer_at = fl_now(m) + b->timer_reload;
    } else if (offset == 0x8u) {
        b->timer_reload = value;
    } else if (offset == 0xCu) {
        b->timer_raw &= ~value;
    }
}

static void write_watchdog(fl_machine *m, uint32_t offset, uint32_t value) {
    fl_board *b = &m->board;
    if (offset == 0xC00u) {
        b->watchdog_open = (value == WATCHDOG_KEY);
        return;
    }
    if (!b->watchdog_open) {
        return;
    }
    if (offset == 0x0u) {
        b->watchdog_load = value;
    } else if (offset == 0x8u) {
        b->watchdog_control = value;
    } else if (offset == 0xCu) {
        b->watchdog_raw = 0u;
    }
    b->watchdog_at = fl_now(m) + b->watchdog_load;
}

static void write_device(uc_engine *uc, uint64_t offset, unsigned size, uint64_t wide, void *user) {
    fl_machine *m = ((fl_device *)user)->machine;
    const uint32_t base = ((fl_device *)user)->base;
    const uint32_t value = (uint32_t)wide;
    (void)uc;
    (void)size;
    switch (base) {
        case OUTPUTS:
            write_output(m, (uint32_t)offset, value);
            return;
        case UART_RECORD:
            if (offset == 0u && m->records_used < FL_SENT) {
                m->records[m->records_used++] = (uint8_t)value;
            }
            return;
        case UART_LINK:
            write_uart(m, &m->board.uart[FL_LINK], (uint32_t)offset, value);
            break;
        case UART_SENSE:
            write_uart(m, &m->board.uart[FL_SENSE], (uint32_t)offset, value);
            break;
        case TIMER:
            write_timer(m, (uint32_t)offset, value);
            break;
        case WATCHDOG:
            write_watchdog(m, (uint32_t)offset, value);
            break;
        default:
            if (base + offset == PRESCALE) {
                m->board.prescale = value;
            } else if (base + offset == NVIC_SET) {
                m->board.nvic |= value;
            } else if (base + offset == MPU_BASE) {
                m->protected = value;
            } else if (base + offset == MPU_ATTRIBUTES && m->protected == FL_RAM_AT) {
                m->gaps = value >> 8 & 0xFFu;
            }
            break;
    }
    if (base != UART_LINK || offset != 0u) {
        m->due = 0u; /* what happens next may have changed: look again at the next block */
    }
}

void fl_map_devices(fl_machine *m) {
    for (uint32_t i = 0u; i < FL_DEVICES; i++) {
        m->device[i] = (fl_device){m, BASES[i]};
        uc_mmio_map(m->uc, BASES[i], 0x1000u, read_device, &m->device[i], write_device, &m->device[i]);
    }
}

/* ---- time ------------------------------------------------------------------------------------------------------ */

static bool timer_runs(const fl_board *b) {
    return (b->timer_control & 1u) != 0u && b->timer_reload != 0u;
}

void fl_reset_devices(fl_machine *m) {
    fl_board *b = &m->board;
    for (uint32_t i = 0u; i < FL_UARTS; i++) {
        b->uart[i].control = b->uart[i].interrupt = b->uart[i].full = 0u;
    }
    b->timer_control = b->timer_reload = b->timer_raw = 0u;
    b->watchdog_open = 1u;
    b->watchdog_control = b->watchdog_raw = b->watchdog_load = 0u;
    b->nvic = b->nmi = b->prescale = 0u;
    b->counter_base = fl_now(m);
}

static uint64_t soonest(uint64_t a, uint64_t b) {
    return (a < b) ? a : b;
}

uint64_t fl_next_event(const fl_machine *m) {
    const fl_board *b = &m->board;
    uint64_t at = m->until;
    at = timer_runs(b) ? soonest(at, b->timer_at) : at;
    at = ((b->watchdog_control & 1u) != 0u) ? soonest(at, b->watchdog_at) : at;
    for (uint32_t i = 0u; i < FL_UARTS; i++) {
        const fl_uart *uart = &b->uart[i];
        at = (uart->used > 0u) ? soonest(at, uart->line[uart->head].at) : at;
    }
    return at;
}

static void take_line(fl_machine *m, fl_uart *uart) {
    while (uart->used > 0u && uart->line[uart->head].at <= fl_now(m)) {
        if ((uart->control & 2u) != 0u && uart->full) {
            m->board.overruns++; /* as at the real part, the byte is lost */
        } else if ((uart->control & 2u) != 0u) {
            uart->data = (uint32_t)uart->line[uart->head].byte;
            uart->full = 1u;
            uart->interrupt |= (uart->control & 8u) ? 2u : 0u;
        }
        uart->head = (uart->head + 1u) % FL_LINE;
        uart->used--;
    }
}

bool fl_settle(fl_machine *m) {
    fl_board *b = &m->board;
    for (uint32_t i = 0u; i < FL_UARTS; i++) {
        take_line(m, &b->uart[i]);
    }
    if (timer_runs(b) && b->timer_at <= fl_now(m)) {
        b->timer_raw = 1u;
        b->timer_at += b->timer_reload * ((fl_now(m) - b->timer_at) / b->timer_reload + 1u);
    }
    if ((b->watchdog_control & 1u) != 0u && b->watchdog_at <= fl_now(m)) {
        if (b->watchdog_raw && (b->watchdog_control & 2u) != 0u) {
            b->resets++;
            note(m, FL_ACTUATORS, 0);
            return true;
        }
        b->watchdog_raw = b->nmi = 1u;
        b->watchdog_at = fl_now(m) + b->watchdog_load;
    }
    return false;
}

uint32_t fl_pending(const fl_machine *m) {
    const fl_board *b = &m->board;
    for (uint32_t i = 0u; i < FL_UARTS; i++) {
        if ((b->nvic >> UART_IRQ[i] & 1u) != 0u && b->uart[i].interrupt != 0u) {
            return 16u + UART_IRQ[i];
        }
    }
    const bool timer = b->timer_raw != 0u && (b->timer_control & 8u) != 0u;
    return (timer && (b->nvic >> IRQ_TIMER & 1u) != 0u) ? 16u + IRQ_TIMER : 0u;
}

/* ---- lines ----------------------------------------------------------------------------------------------------- */

/* Bytes on a line to the board from `at_us` on, one after the other at the line's speed. */
void fl_feed(fl_machine *m, uint32_t index, const uint8_t *data, uint32_t length, uint64_t at_us) {
    fl_uart *uart = &m->board.uart[index];
    for (uint32_t i = 0u; i < length && uart->used < FL_LINE; i++) {
        const uint64_t start = (uart->free > at_us * FL_CYCLES) ? uart->free : at_us * FL_CYCLES;
        uart->free = start + BYTE_CYCLES;
        uart->line[(uart->head + uart->used) % FL_LINE] = (fl_byte){uart->free, data[i]};
        uart->used++;
    }
}
