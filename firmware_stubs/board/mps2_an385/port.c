/* Board port: ARM MPS2 with a Cortex-M3 (AN385), as QEMU's machine `mps2-an385`. UART 0 is the link, UART 1 prints
 * records of the outputs, UART 2 takes measurements (../common/eg_sense_line.h). The outputs are words at 0x40010000.
 * Deadlines come from a free-running hardware counter; a core that hangs is reset by the watchdog within 200 ms. */
#include "eg_armv7m.h"
#include "eg_ring.h"
#include "eg_sense_line.h"

#define CLOCK_HZ 25000000u
#define BAUD 921600u

typedef struct {
    volatile uint32_t data, state, control, interrupt, divider;
} uart_registers;

typedef struct {
    volatile uint32_t load, value, control, clear, raw, masked;
    uint32_t reserved[762];
    volatile uint32_t lock;
} watchdog_registers;

typedef struct {
    volatile uint32_t control, value, reload, clear;
} timer_registers;

/* An output stage for each actuator: it takes `value` only while `check` is its complement. On the real board these
 * are the GPIO's addresses and drive nothing that is documented: no output stage was ever built. */
typedef struct {
    volatile uint32_t value, check;
} output_registers;

#define TIMER ((timer_registers *)0x40000000u)
#define UART_LINK ((uart_registers *)0x40004000u)
#define UART_RECORD ((uart_registers *)0x40005000u)
#define UART_SENSE ((uart_registers *)0x40006000u)
#define WATCHDOG ((watchdog_registers *)0x40008000u)
#define OUTPUTS ((output_registers *)0x40010000u)
#define COUNTER ((const volatile uint32_t *)0x40028018u)
#define PRESCALE ((volatile uint32_t *)0x4002801Cu)
#define INTERRUPT_ENABLE ((volatile uint32_t *)0xE000E100u)

#define UART_SEND_FULL 1u
#define UART_RECEIVED 2u
#define UART_SEND 1u
#define UART_RECEIVE 2u
#define UART_RECEIVE_INTERRUPT 8u
#define TIMER_RUN_AND_INTERRUPT 9u
#define INTERRUPTS ((1u << 0) | (1u << 4) | (1u << 8)) /* link and senses received, timer: as in `table` below */
#define WATCHDOG_UNLOCK 0x1ACCE551u
#define WATCHDOG_WARN_AND_RESET 3u

#define CODE_SIZE 22u /* exponents: 4 MiB, 64 KiB, as in memory.ld */
#define DATA_SIZE 16u

extern uint32_t eg_stack_top;

static eg_ring link_received, sense_received;
__attribute__((section(".noinit"))) static eg_retained retained;

static void link_interrupt(void);
static void sense_interrupt(void);
static void timer_interrupt(void);
int main(void);

static void collect(uart_registers *uart, eg_ring *ring) {
    uart->interrupt = UART_RECEIVE;
    while ((uart->state & UART_RECEIVED) != 0u) {
        eg_ring_push(ring, (uint8_t)uart->data);
    }
}

static void link_interrupt(void) {
    collect(UART_LINK, &link_received);
}

static void sense_interrupt(void) {
    collect(UART_SENSE, &sense_received);
}

/* Only wakes the core: ticks that are lost while the core is held up must not stretch a deadline. */
static void timer_interrupt(void) {
    TIMER->clear = 1u;
}

static size_t send(uart_registers *uart, const uint8_t *data, size_t length) {
    size_t sent = 0u;
    while ((sent < length) && ((uart->state & UART_SEND_FULL) == 0u)) {
        uart->data = data[sent];
        sent++;
    }
    return sent;
}

/* ---- the ten functions of eg_port.h ----------------------------------------------------------------------------- */

uint64_t eg_port_clock_us(void) {
    return eg_widened(*COUNTER);
}

const eg_identity *eg_port_identity(void) {
    static const uint32_t none[EG_RANDOM_WORDS]; /* this board has no random source */
    return eg_provisioned(none);
}

eg_retained *eg_port_retained(void) {
    return &retained;
}

bool eg_port_receive(uint8_t *byte) {
    return eg_ring_pop(&link_received, byte);
}

size_t eg_port_send(const uint8_t *data, size_t length) {
    return send(UART_LINK, data, length);
}

size_t eg_port_report(const uint8_t *data, size_t length) {
    return send(UART_RECORD, data, length);
}

void eg_port_sense(eg_senses *senses, uint64_t now_us) {
    static eg_sense_line line;
    eg_sense_take(&line, &sense_received, senses, now_us);
}

void eg_port_drive(uint32_t actuator, eg_drive_word which, uint32_t word) {
    if (which == EG_DRIVE_VALUE) {
        OUTPUTS[actuator].value = word;
    } else {
        OUTPUTS[actuator].check = word;
    }
}

void eg_port_feed_watchdog(void) {
    WATCHDOG->clear = 1u;
}

/* An interrupt that came since the last look at the rings still ends the sleep. None says that there is room to send. */
void eg_port_sleep(bool waiting) {
    __asm volatile("cpsid i" ::: "memory");
    if (!waiting && eg_ring_empty(&link_received) && eg_ring_empty(&sense_received)) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
}

/* ---- start ------------------------------------------------------------------------------------------------------ */

static void start_uart(uart_registers *uart, uint32_t control) {
    uart->divider = CLOCK_HZ / BAUD;
    uart->control = control;
}

int main(void) {
    eg_protect_memory(0u, CODE_SIZE, 0x20000000u, DATA_SIZE);
    *PRESCALE = (CLOCK_HZ / 1000000u) - 1u;
    start_uart(UART_LINK, UART_SEND | UART_RECEIVE | UART_RECEIVE_INTERRUPT);
    start_uart(UART_RECORD, UART_SEND);
    start_uart(UART_SENSE, UART_RECEIVE | UART_RECEIVE_INTERRUPT);
    TIMER->reload = CLOCK_HZ / 1000u;
    TIMER->value = CLOCK_HZ / 1000u;
    TIMER->control = TIMER_RUN_AND_INTERRUPT;
    *INTERRUPT_ENABLE = INTERRUPTS;
    WATCHDOG->lock = WATCHDOG_UNLOCK;
    WATCHDOG->load = CLOCK_HZ / 10u; /* warns after 100 ms, resets after 200 ms */
    WATCHDOG->control = WATCHDOG_WARN_AND_RESET;
    eg_board_run();
}

typedef struct {
    uint32_t *stack;
    eg_handler entry[24];
} vectors;

/* The stack, exceptions 1 to 15, then the interrupts from 16 on. The watchdog warns by NMI, exception 2. */
__attribute__((section(".vectors"), used)) static const vectors table = {
    .stack = &eg_stack_top,
    .entry = {[0] = eg_reset,
              [1 ... 14] = eg_stopped,
              [15 + 0] = link_interrupt,
              [16 ... 18] = eg_stopped,
              [15 + 4] = sense_interrupt,
              [20 ... 22] = eg_stopped,
              [15 + 8] = timer_interrupt},
};
