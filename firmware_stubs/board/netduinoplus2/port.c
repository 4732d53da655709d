/* Board port: Netduino Plus 2 (STM32F405, Cortex-M4), which QEMU has as `netduinoplus2`. USART 1 is the link, USART 2
 * prints records of the outputs, USART 3 takes measurements (../common/eg_sense_line.h). The outputs are words in RAM.
 * EG_EMULATED leaves out what QEMU lacks: clock tree and random source read as zero, and timer 2 counts at 1 GHz. */
#include "eg_armv7m.h"
#include "eg_ring.h"
#include "eg_sense_line.h"

#define BAUD 921600u
#define CORE_HZ 168000000u
#define APB1_HZ 42000000u
#define APB2_HZ 84000000u
#ifdef EG_EMULATED
#define TIMER_HZ 1000000000u
#else
#define TIMER_HZ (2u * APB1_HZ)
#endif

typedef struct {
    volatile uint32_t state, data, divider, control1, control2, control3;
} usart_registers;

typedef struct {
    volatile uint32_t mode, type, speed, pull, input, output, set, lock, function[2];
} gpio_registers;

typedef struct {
    volatile uint32_t control1, control2, slave, interrupt, state, event, capture1, capture2, enable, counter, prescaler,
        reload;
} timer_registers;

typedef struct {
    volatile uint32_t key, prescaler, reload, state;
} watchdog_registers;

typedef struct {
    volatile uint32_t control, pll, configuration;
} clock_registers;

typedef struct {
    volatile uint32_t control, state, data;
} random_registers;

/* An output stage for each actuator: it takes `value` only while `check` is its complement. In RAM, where a DMA channel
 * of the product's would take them from. */
typedef struct {
    volatile uint32_t value, check;
} output_registers;

#define TIMER ((timer_registers *)0x40000000u)
#define WATCHDOG ((watchdog_registers *)0x40003000u)
#define USART_LINK ((usart_registers *)0x40011000u)
#define USART_RECORD ((usart_registers *)0x40004400u)
#define USART_SENSE ((usart_registers *)0x40004800u)
#define GPIO_A ((gpio_registers *)0x40020000u)
#define GPIO_B ((gpio_registers *)0x40020400u)
#define CLOCK ((clock_registers *)0x40023800u)
#define CLOCK_TO_AHB1 ((volatile uint32_t *)0x40023830u)
#define CLOCK_TO_AHB2 ((volatile uint32_t *)0x40023834u)
#define CLOCK_TO_APB1 ((volatile uint32_t *)0x40023840u)
#define CLOCK_TO_APB2 ((volatile uint32_t *)0x40023844u)
#define RANDOM ((random_registers *)0x50060800u)
#define FLASH_ACCESS ((volatile uint32_t *)0x40023C00u)
#define SYSTICK_CONTROL ((volatile uint32_t *)0xE000E010u)
#define SYSTICK_RELOAD ((volatile uint32_t *)0xE000E014u)
#define SYSTICK_VALUE ((volatile uint32_t *)0xE000E018u)
#define INTERRUPT_ENABLE1 ((volatile uint32_t *)0xE000E104u) /* interrupts 32 to 63 */
#define OUTPUTS ((output_registers *)0x2001FF00u)            /* above what memory.ld gives to data */

#define USART_RECEIVED (1u << 5)
#define USART_SEND_EMPTY (1u << 7)
#define USART_RUN ((1u << 13) | (1u << 3) | (1u << 2)) /* on, send, receive */
#define USART_RECEIVE_INTERRUPT (1u << 5)
#define SYSTICK_RUN_AND_INTERRUPT 7u
#define RANDOM_RUN (1u << 2)
#define RANDOM_READY 1u
#define RANDOM_FAULTS ((1u << 2) | (1u << 1)) /* of its seed, of its clock */
#define USART1_INTERRUPT 37u
#define USART3_INTERRUPT 39u
#define WATCHDOG_START 0xCCCCu
#define WATCHDOG_UNLOCK 0x5555u
#define WATCHDOG_FEED 0xAAAAu

#define CODE_SIZE 20u /* exponents: 1 MiB, 128 KiB, as in memory.ld */
#define DATA_SIZE 17u

extern uint32_t eg_stack_top;

static eg_ring link_received, sense_received;
__attribute__((section(".noinit"))) static eg_retained retained;

static void link_interrupt(void);
static void sense_interrupt(void);
static void tick_interrupt(void);
int main(void);

static void collect(usart_registers *usart, eg_ring *ring) {
    while ((usart->state & USART_RECEIVED) != 0u) {
        eg_ring_push(ring, (uint8_t)usart->data);
    }
}

static void link_interrupt(void) {
    collect(USART_LINK, &link_received);
}

static void sense_interrupt(void) {
    collect(USART_SENSE, &sense_received);
}

/* Only wakes the core: ticks that are lost while the core is held up must not stretch a deadline. */
static void tick_interrupt(void) {
}

static size_t send(usart_registers *usart, const uint8_t *data, size_t length) {
    size_t sent = 0u;
    while ((sent < length) && ((usart->state & USART_SEND_EMPTY) != 0u)) {
        usart->data = data[sent];
        sent++;
    }
    return sent;
}

/* ---- the ten functions of eg_port.h ----------------------------------------------------------------------------- */

uint64_t eg_port_clock_us(void) {
    return eg_widened(TIMER->counter);
}

/* The part's random source, at the PLL's 48 MHz; its first word is not to be used. One that does not start, or that
 * finds itself at fault, is the watchdog's to end: without a new seed nobody may open a session. */
const eg_identity *eg_port_identity(void) {
    uint32_t random[EG_RANDOM_WORDS] = {0u};
#ifndef EG_EMULATED
    *CLOCK_TO_AHB2 |= 1u << 6;
    RANDOM->control = RANDOM_RUN;
    for (uint32_t i = 0u; i <= EG_RANDOM_WORDS; i++) {
        while ((RANDOM->state & (RANDOM_READY | RANDOM_FAULTS)) != RANDOM_READY) {
        }
        random[i % EG_RANDOM_WORDS] = RANDOM->data;
    }
#endif
    return eg_provisioned(random);
}

eg_retained *eg_port_retained(void) {
    return &retained;
}

bool eg_port_receive(uint8_t *byte) {
    return eg_ring_pop(&link_received, byte);
}

size_t eg_port_send(const uint8_t *data, size_t length) {
    return send(USART_LINK, data, length);
}

size_t eg_port_report(const uint8_t *data, size_t length) {
    return send(USART_RECORD, data, length);
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
    WATCHDOG->key = WATCHDOG_FEED;
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

/* 168 MHz from the board's 25 MHz crystal: /25 *336 /2. A crystal that does not start is the watchdog's to end. */
static void start_clock(void) {
    *FLASH_ACCESS = (7u << 8) | 5u; /* caches on, 5 wait states */
    CLOCK->control |= 1u << 16;
#ifndef EG_EMULATED
    while ((CLOCK->control & (1u << 17)) == 0u) {
    }
#endif
    CLOCK->pll = (7u << 24) | (1u << 22) | (336u << 6) | 25u;
    CLOCK->configuration = (4u << 13) | (5u << 10); /* APB2 /2, APB1 /4 */
    CLOCK->control |= 1u << 24;
#ifndef EG_EMULATED
    while ((CLOCK->control & (1u << 25)) == 0u) {
    }
#endif
    CLOCK->configuration |= 2u;
    *CLOCK_TO_AHB1 |= 3u;                         /* ports A and B */
    *CLOCK_TO_APB1 |= (1u << 18) | (1u << 17) | 1u; /* USART 3 and 2, timer 2 */
    *CLOCK_TO_APB2 |= 1u << 4;                    /* USART 1 */
}

/* Pins to function 7, which is every USART's. */
static void give_pin(gpio_registers *port, uint32_t pin) {
    const uint32_t nibble = 4u * (pin % 8u);
    port->function[pin / 8u] = (port->function[pin / 8u] & ~(15u << nibble)) | (7u << nibble);
    port->mode = (port->mode & ~(3u << (2u * pin))) | (2u << (2u * pin));
}

static void start_usart(usart_registers *usart, uint32_t bus_hz, uint32_t interrupt) {
    usart->divider = (bus_hz + (BAUD / 2u)) / BAUD;
    usart->control1 = USART_RUN | interrupt;
}

/* The slowest oscillator that the part may have, 17 kHz, makes 400 steps of /8 last 188 ms; the fastest, 68 ms. */
static void start_watchdog(void) {
    WATCHDOG->key = WATCHDOG_START;
    WATCHDOG->key = WATCHDOG_UNLOCK;
    WATCHDOG->prescaler = 1u;
    WATCHDOG->reload = 400u;
}

static void start_timers(void) {
    TIMER->prescaler = (TIMER_HZ / 1000000u) - 1u;
    TIMER->reload = UINT32_MAX;
    TIMER->event = 1u; /* takes the prescaler over */
    TIMER->control1 = 1u;
    *SYSTICK_RELOAD = (CORE_HZ / 1000u) - 1u;
    *SYSTICK_VALUE = 0u;
    *SYSTICK_CONTROL = SYSTICK_RUN_AND_INTERRUPT;
}

int main(void) {
    start_watchdog(); /* first: it has an oscillator of its own */
    eg_protect_memory(0x08000000u, CODE_SIZE, 0x20000000u, DATA_SIZE);
    start_clock();
    give_pin(GPIO_B, 6u);
    give_pin(GPIO_B, 7u);
    give_pin(GPIO_A, 2u);
    give_pin(GPIO_A, 3u);
    give_pin(GPIO_B, 10u);
    give_pin(GPIO_B, 11u);
    start_usart(USART_LINK, APB2_HZ, USART_RECEIVE_INTERRUPT);
    start_usart(USART_RECORD, APB1_HZ, 0u);
    start_usart(USART_SENSE, APB1_HZ, USART_RECEIVE_INTERRUPT);
    start_timers();
    *INTERRUPT_ENABLE1 = (1u << (USART1_INTERRUPT - 32u)) | (1u << (USART3_INTERRUPT - 32u));
    eg_board_run();
}

typedef struct {
    uint32_t *stack;
    eg_handler entry[15 + USART3_INTERRUPT + 1];
} vectors;

/* The stack, exceptions 1 to 15 of which the last is the tick, then the interrupts from 16 on. */
__attribute__((section(".vectors"), used)) static const vectors table = {
    .stack = &eg_stack_top,
    .entry = {[0] = eg_reset,
              [1 ... 13] = eg_stopped,
              [14] = tick_interrupt,
              [15 ... 51] = eg_stopped,
              [15 + USART1_INTERRUPT] = link_interrupt,
              [53] = eg_stopped,
              [15 + USART3_INTERRUPT] = sense_interrupt},
};
