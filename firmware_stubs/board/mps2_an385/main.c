/* Board port: ARM MPS2 with a Cortex-M3 (AN385), as QEMU's machine `mps2-an385`. UART 0 is the link; UART 1 prints
 * records of the outputs: `time_us actuator value mode`, as the host board does, on this board's own clock.
 * Deadlines come from a free-running hardware counter; a core that hangs is reset by the watchdog within 200 ms. */
#include "eg_device.h"

#define CLOCK_HZ 25000000u
#define BAUD 921600u
#define RECEIVE_RING 1024u /* a power of two: indices wrap by themselves */
#define RECORD_RING 2048u
#define RECORD_PERIOD_US 10000u
#define RECORD_MAX 96u

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

#define TIMER ((timer_registers *)0x40000000u)
#define UART_LINK ((uart_registers *)0x40004000u)
#define UART_RECORD ((uart_registers *)0x40005000u)
#define WATCHDOG ((watchdog_registers *)0x40008000u)
#define COUNTER ((const volatile uint32_t *)0x40028018u)
#define PRESCALE ((volatile uint32_t *)0x4002801Cu)
#define INTERRUPT_ENABLE ((volatile uint32_t *)0xE000E100u)

#define UART_SEND_FULL 1u
#define UART_RECEIVED 2u
#define UART_SEND 1u
#define UART_RECEIVE 2u
#define UART_RECEIVE_INTERRUPT 8u
#define TIMER_RUN_AND_INTERRUPT 9u
#define INTERRUPTS ((1u << 0) | (1u << 8)) /* link received, timer: as in startup.c */
#define WATCHDOG_UNLOCK 0x1ACCE551u
#define WATCHDOG_WARN_AND_RESET 3u

/* Written before reset by whoever provisions the board; a real part has it in one-time memory and a random source. */
extern const eg_identity eg_provision;

/* Survives a watchdog reset, so that no seed is used twice. It does not survive a loss of power: whoever starts the
 * emulator writes a new seed each time. On a real part the count must be kept where power does not matter. */
__attribute__((section(".noinit"))) static uint32_t boots;

static const char *const NAMES[EG_ACTUATORS] = EG_ACTUATOR_NAMES;
static const char *const MODES[] = {"silent", "enabled", "fallback_only", "lockout"};

static eg_device device;
static uint8_t received[RECEIVE_RING];
static volatile uint32_t received_in, received_out;
static uint8_t records[RECORD_RING];
static uint32_t records_in, records_out;

void eg_link_received(void); /* the interrupt handlers, named in startup.c */
void eg_timer_fired(void);
int main(void);

void eg_link_received(void) {
    UART_LINK->interrupt = UART_RECEIVE;
    while ((UART_LINK->state & UART_RECEIVED) != 0u) {
        const uint8_t byte = (uint8_t)UART_LINK->data;
        if ((received_in - received_out) < RECEIVE_RING) { /* else lost: its frame will fail its checksum */
            received[received_in % RECEIVE_RING] = byte;
            received_in = received_in + 1u;
        }
    }
}

/* Only wakes the core: ticks that are lost while the core is held up must not stretch a deadline. */
void eg_timer_fired(void) {
    TIMER->clear = 1u;
}

/* The counter runs at 1 MHz and wraps after 71 minutes; the main loop looks far more often. */
static uint64_t clock_us(void) {
    static uint32_t last = 0u;
    static uint64_t wraps = 0u;
    const uint32_t now = *COUNTER;
    if (now < last) {
        wraps++;
    }
    last = now;
    return (wraps << 32) | now;
}

static void start_uart(uart_registers *uart, uint32_t control) {
    uart->divider = CLOCK_HZ / BAUD;
    uart->control = control;
}

static void start_watchdog(void) {
    WATCHDOG->lock = WATCHDOG_UNLOCK;
    WATCHDOG->load = CLOCK_HZ / 10u; /* warns after 100 ms, resets after 200 ms */
    WATCHDOG->control = WATCHDOG_WARN_AND_RESET;
}

static void start_timer(void) {
    TIMER->reload = CLOCK_HZ / 1000u;
    TIMER->value = CLOCK_HZ / 1000u;
    TIMER->control = TIMER_RUN_AND_INTERRUPT;
}

/* Until an interrupt. One that came since the last look at the ring still ends it. */
static void sleep_until_woken(void) {
    __asm volatile("cpsid i" ::: "memory");
    if (received_in == received_out) {
        __asm volatile("wfi" ::: "memory");
    }
    __asm volatile("cpsie i" ::: "memory");
}

static void receive(void) {
    while (received_out != received_in) {
        eg_device_receive(&device, received[received_out % RECEIVE_RING], clock_us());
        received_out = received_out + 1u;
    }
}

static void transmit(void) {
    uint8_t byte;
    while (((UART_LINK->state & UART_SEND_FULL) == 0u) && (eg_device_take(&device, &byte, 1u) == 1u)) {
        UART_LINK->data = byte;
    }
    while (((UART_RECORD->state & UART_SEND_FULL) == 0u) && (records_out != records_in)) {
        UART_RECORD->data = records[records_out % RECORD_RING];
        records_out++;
    }
}

static void put(char c) {
    records[records_in % RECORD_RING] = (uint8_t)c;
    records_in++;
}

static void put_text(const char *text) {
    for (const char *c = text; *c != '\0'; c++) {
        put(*c);
    }
}

static void put_number(uint64_t value, uint32_t digits) {
    char text[20];
    uint32_t used = 0u;
    for (uint64_t rest = value; (rest > 0u) || (used < digits); rest /= 10u) {
        text[used] = (char)('0' + (char)(rest % 10u));
        used++;
    }
    while (used > 0u) {
        used--;
        put(text[used]);
    }
}

/* A record that finds no room is lost: the core never waits for whoever looks on. */
static void put_record(uint32_t actuator, uint64_t now_us) {
    const int64_t value = device.outputs.value[actuator];
    const uint64_t size = (uint64_t)((value < 0) ? -value : value);
    if ((RECORD_RING - (records_in - records_out)) < RECORD_MAX) {
        return;
    }
    put_number(now_us, 1u);
    put(' ');
    put_text(NAMES[actuator]);
    put_text((value < 0) ? " -" : " ");
    put_number(size / 1000000u, 1u);
    put('.');
    put_number(size % 1000000u, 6u);
    put(' ');
    put_text(MODES[device.outputs.mode]);
    put('\n');
}

static void record(uint64_t now_us) {
    static int32_t last[EG_ACTUATORS];
    static uint8_t last_mode = 0xFFu;
    static uint64_t due_us = 0u;
    const bool all = (now_us >= due_us) || (device.outputs.mode != last_mode);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        if (all || (device.outputs.value[i] != last[i])) {
            put_record(i, now_us);
            last[i] = device.outputs.value[i];
        }
    }
    if (all) {
        last_mode = device.outputs.mode;
        due_us = now_us + RECORD_PERIOD_US;
    }
}

int main(void) {
    eg_identity identity = eg_provision;
    boots++;
    for (uint32_t i = 0u; i < EG_SEED_SIZE; i++) {
        const uint8_t count = (i < 4u) ? (uint8_t)(boots >> (8u * i)) : 0u;
        identity.seed[i] = (uint8_t)(eg_provision.seed[i] ^ count);
    }
    *PRESCALE = (CLOCK_HZ / 1000000u) - 1u;
    eg_device_init(&device, &identity, NULL, 1u, clock_us());
    start_uart(UART_LINK, UART_SEND | UART_RECEIVE | UART_RECEIVE_INTERRUPT);
    start_uart(UART_RECORD, UART_SEND);
    start_timer();
    *INTERRUPT_ENABLE = INTERRUPTS;
    start_watchdog();
    uint64_t tick_us = 0u;
    for (;;) {
        receive();
        const uint64_t now_us = clock_us(); /* after what was received: time never goes back */
        if ((now_us - tick_us) >= 500u) {
            tick_us = now_us;
            eg_device_tick(&device, now_us);
            record(now_us);
            WATCHDOG->clear = 1u; /* only a loop that ticks keeps the watchdog quiet */
        }
        transmit();
        if ((device.send_used == 0u) && (records_in == records_out)) {
            sleep_until_woken();
        }
    }
}
