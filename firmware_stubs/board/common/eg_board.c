/* The same on every board: bytes in, a step at least every millisecond, outputs, watchdog, bytes out.
 * The hardware is behind the ten functions of eg_port.h. Nothing here decides, and nothing waits for anyone. */
#include "eg_port.h"

#include "eg_envelope.h"
#include "eg_retained.h"

#define TICK_US 500u /* twice as often as the core asks for */
#define SETTLE_US 20000u
#define RECORD_PERIOD_US 10000u
#define RECORD_RING 2048u /* a power of two: indices wrap by themselves */
#define RECORD_MAX 96u
#define CHUNK 64u
#define LEAP_US ((int64_t)EG_SLEW_SPAN_MAX_US + 5000) /* a held-up step, and those of a received frame and its tick */

static const char *const NAMES[EG_ACTUATORS] = EG_ACTUATOR_NAMES;
static const char *const MODES[] = {"silent", "enabled", "fallback_only", "lockout"};

static eg_device device;
static uint8_t records[RECORD_RING];
static uint32_t records_in, records_out;

/* ---- records of the outputs, for whoever looks on: `time_us actuator value mode` --------------------------------- */

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

/* A record that finds no room is lost. */
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
    put_text(MODES[device.outputs.mode & 3u]);
    put('\n');
}

/* At every change, and at least every 10 ms. */
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

/* ---- the loop -------------------------------------------------------------------------------------------------- */

/* About a frame at a time: a line that is flooded must not keep the deadlines from being looked at. */
static void receive(void) {
    uint8_t byte;
    for (uint32_t taken = 0u; (taken < CHUNK) && eg_port_receive(&byte); taken++) {
        eg_device_receive(&device, byte, eg_port_clock_us());
    }
}

/* Returns whether anything still waits to be sent. */
static bool transmit(void) {
    static uint8_t chunk[CHUNK];
    static size_t used = 0u;
    static size_t sent = 0u;
    if (sent == used) {
        used = eg_device_take(&device, chunk, sizeof chunk);
        sent = 0u;
    }
    sent += eg_port_send(&chunk[sent], used - sent);
    while (records_out != records_in) {
        const uint32_t from = records_out % RECORD_RING;
        const uint32_t to_end = RECORD_RING - from;
        const uint32_t waiting = records_in - records_out;
        const size_t taken = eg_port_report(&records[from], (waiting < to_end) ? waiting : to_end);
        records_out += (uint32_t)taken;
        if (taken == 0u) {
            break;
        }
    }
    return (sent != used) || (device.send_used > 0u) || (records_out != records_in);
}

/* Returns whether the two copies of the core agree on what was driven. The second pass finds the device by a way of its
 * own: a pointer that a fault bends must not bend values and checks alike. */
static bool drive(void) {
    static const eg_device *const volatile found_again = &device;
    bool sound = true;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_drive pair = eg_device_drive(&device, i);
        eg_port_drive(i, EG_DRIVE_VALUE, pair.value);
    }
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_drive pair = eg_device_drive(found_again, i);
        eg_port_drive(i, EG_DRIVE_CHECK, pair.check);
        sound = sound && (pair.check == ~pair.value);
    }
    return sound;
}

/* Whether an output would be further from where it last was than even a stalled core may move at once. No step does
 * that: only a start that nobody made, somewhere in the middle. The watchdog makes a whole one, from what was kept. With
 * a table that is not sound nothing is known of rates. */
static bool leaps(const eg_retained *retained) {
    const eg_record *last = eg_latest(retained);
    bool any = false;
    const bool known = (last != NULL) && (device.outputs.reason != (uint8_t)EG_TABLE_INVALID);
    for (uint32_t i = 0u; known && (i < EG_ACTUATORS); i++) {
        const eg_actuator *limits = &eg_policy_table.actuator[i];
        const int32_t from = eg_clamp(last->output[i], limits->min, limits->max); /* of another policy, perhaps */
        const int64_t way = (int64_t)device.outputs.value[i] - from;
        const int64_t up = ((int64_t)limits->rise * LEAP_US) / 1000000;
        const int64_t down = ((int64_t)limits->fall * LEAP_US) / 1000000;
        any = any || ((limits->rise != EG_NO_LIMIT) && (way > up)) || ((limits->fall != EG_NO_LIMIT) && (way < -down));
    }
    return any;
}

static void tick(eg_retained *retained) {
    eg_port_sense(&device.senses, eg_port_clock_us());
    const uint64_t now_us = eg_port_clock_us(); /* after what was measured and received: time never goes back */
    eg_device_tick(&device, now_us);
    if (!leaps(retained) && drive()) {
        *retained = device.kept;
        eg_port_feed_watchdog();
    }
    record(now_us);
}

/* Contacts bounce and converters settle: what they say right after a reset is not believed. */
static void settle(eg_senses *senses) {
    const uint64_t start_us = eg_port_clock_us();
    while ((eg_port_clock_us() - start_us) < SETTLE_US) {
        eg_port_sense(senses, eg_port_clock_us());
    }
}

void eg_board_run(void) {
    static eg_senses senses;
    eg_retained *const retained = eg_port_retained();
    uint64_t ticked_us = 0u;
    settle(&senses);
    eg_device_init(&device, eg_port_identity(), retained, senses.stop_released, eg_port_clock_us());
    device.senses = senses;
    for (;;) {
        receive();
        const uint64_t now_us = eg_port_clock_us();
        if ((now_us - ticked_us) >= TICK_US) {
            ticked_us = now_us;
            tick(retained);
        }
        eg_port_sleep(transmit());
    }
}
