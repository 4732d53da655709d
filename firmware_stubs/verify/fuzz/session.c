/* The whole device under a program of bytes, frames, time, senses, replays and resets; oracle.h is asked after each call.
 * Frames are signed with the right keys, so that the fuzzer gets past the signature; every field is the input's to choose.
 * The table is the one it is built with: tools/fuzz-firmware takes one that uses all there is. */
#include <string.h>

#include "fuzz.h"
#include "oracle.h"

#define RING 64u
#define STEPS_MAX 400u
#define SIGNED_MAX 3500u

static struct {
    eg_device device;
    eg_identity identity;
    uint64_t now_us;
    uint32_t counter[EG_KEYS];
    uint32_t boots;
    uint32_t signed_count;
    bool live; /* measured positions follow the outputs by themselves */
    uint8_t ring[RING][EG_FRAME_MAX];
    uint8_t length[RING];
    uint32_t ringed;
} w;

/* ---- calls, each under the oracle ------------------------------------------------------------------------------ */

static void deliver(const uint8_t *data, size_t length) {
    for (size_t i = 0u; i < length; i++) {
        oracle_before(&w.device);
        eg_device_receive(&w.device, data[i], w.now_us);
        oracle_after(&w.device, w.now_us, false);
    }
}

static void remember(const uint8_t *raw, size_t length) {
    memcpy(w.ring[w.ringed % RING], raw, length);
    w.length[w.ringed % RING] = (uint8_t)length;
    w.ringed++;
}

/* What the device sends is well formed, and becomes something to reflect. */
static void drain(void) {
    uint8_t out[EG_SEND_BUFFER];
    const size_t length = eg_device_take(&w.device, out, sizeof out);
    eg_parser parser = {0};
    size_t start = 0u;
    for (size_t i = 0u; i < length; i++) {
        eg_frame frame;
        eg_parser_push(&parser, out[i]);
        const eg_parsed parsed = eg_parser_next(&parser, &w.identity.keys, &frame);
        REQUIRE((parsed == EG_MORE) || (parsed == EG_FRAME));
        if (parsed == EG_FRAME) {
            REQUIRE((frame.system == EG_SYSTEM_MCU) && ((frame.payload[frame.length - 1u] & EG_FLAG_ALWAYS) != 0u));
            REQUIRE(frame.link == ((frame.message == EG_OFFER) ? EG_LINK_TO_OPERATOR : EG_LINK_TO_HOST));
            remember(&out[start], i + 1u - start);
            start = i + 1u;
        }
    }
    REQUIRE(start == length);
}

static void tick(void) {
    if (w.live) {
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            w.device.senses.measured[i] = (eg_reading){w.now_us, w.device.outputs.value[i], 1u};
        }
    }
    oracle_before(&w.device);
    eg_device_tick(&w.device, w.now_us);
    oracle_after(&w.device, w.now_us, true);
}

static void boot(const eg_retained *kept, uint8_t stop_released) {
    const eg_retained copy = (kept == NULL) ? (eg_retained){0} : *kept;
    w.boots++;
    eg_store(w.identity.seed, 4u, w.boots);
    eg_device_init(&w.device, &w.identity, (kept == NULL) ? NULL : &copy, stop_released, w.now_us);
    oracle_booted(&w.device, (kept == NULL) ? NULL : &copy, w.now_us);
    w.signed_count = 0u;
    w.counter[0] = w.counter[1] = 0u;
}

/* ---- frames ---------------------------------------------------------------------------------------------------- */

static void sign_and_deliver(eg_frame *frame, input *in, uint8_t how) {
    uint8_t raw[EG_FRAME_MAX];
    size_t length = eg_pack(frame, (uint8_t)w.ringed, w.now_us / 10u, &w.identity.keys, raw);
    remember(raw, length);
    if ((how & 0x80u) != 0u) { /* arrives broken */
        take_change(in, raw, length);
    } else if ((how & 0x40u) != 0u) { /* arrives cut */
        length = take8(in) % length;
    }
    deliver(raw, length);
}

static void send_open(input *in, uint8_t how) {
    eg_frame f = {.message = EG_OPEN, .system = EG_SYSTEM_HOST, .component = EG_COMPONENT, .length = EG_OPEN_SIZE};
    memcpy(&f.payload[0], w.device.nonce, 8u);
    take_bytes(in, &f.payload[8], 2u);
    memcpy(&f.payload[16], eg_policy_table.digest, 16u);
    f.payload[32] = EG_PROTOCOL;
    f.payload[33] = EG_FLAG_ALWAYS;
    if ((how & 0x01u) != 0u) {
        take_change(in, f.payload, EG_OPEN_SIZE);
    }
    signed_frame note = {.open = true};
    memcpy(note.session, f.payload, 8u);
    oracle_signed(&note);
    w.signed_count++;
    w.counter[0] = w.counter[1] = 0u;
    sign_and_deliver(&f, in, how);
}

typedef struct {
    uint32_t key;
    uint8_t action;
    uint8_t source;
    uint8_t actuator;
    int32_t value;
} wish;

static void send_command(input *in, uint8_t how, const wish *wanted) {
    eg_frame f = {.message = EG_COMMAND, .system = EG_SYSTEM_HOST, .component = EG_COMPONENT, .length = EG_COMMAND_SIZE};
    f.link = (wanted->key == EG_OPERATOR_KEY) ? EG_LINK_FROM_OPERATOR : EG_LINK_TO_MCU;
    w.counter[wanted->key]++;
    memcpy(&f.payload[0], w.device.session, 8u);
    eg_store(&f.payload[8], 4u, w.counter[wanted->key]);
    eg_store(&f.payload[12], 4u, w.now_us / 1000u);
    eg_store(&f.payload[16], 4u, eg_policy_table.policy_hash);
    eg_store(&f.payload[20], 4u, (uint32_t)wanted->value);
    eg_store(&f.payload[24], 2u, 100u);
    eg_store(&f.payload[26], 2u, 0xE600u + wanted->actuator);
    f.payload[28] = wanted->source;
    f.payload[29] = wanted->actuator;
    f.payload[30] = wanted->action;
    f.payload[31] = EG_FLAG_ALWAYS;
    for (uint32_t changes = how & 0x07u; changes > 0u; changes--) { /* any field may be any value: it is signed so */
        take_change(in, f.payload, EG_COMMAND_SIZE);
    }
    signed_frame note = {.key = wanted->key,
                         .counter = (uint32_t)eg_load(&f.payload[8], 4u),
                         .echo_ms = (uint32_t)eg_load(&f.payload[12], 4u),
                         .policy_hash = (uint32_t)eg_load(&f.payload[16], 4u),
                         .value = (int32_t)(uint32_t)eg_load(&f.payload[20], 4u),
                         .valid_ms = (uint16_t)eg_load(&f.payload[24], 2u),
                         .data_id = (uint16_t)eg_load(&f.payload[26], 2u),
                         .source = f.payload[28],
                         .actuator = f.payload[29],
                         .action = f.payload[30]};
    memcpy(note.session, f.payload, 8u);
    memcpy(note.payload, f.payload, EG_COMMAND_SIZE);
    oracle_signed(&note);
    w.signed_count++;
    sign_and_deliver(&f, in, how);
}

static int32_t value_for(input *in, uint32_t actuator) {
    const eg_actuator *a = &eg_policy_table.actuator[actuator % EG_ACTUATORS];
    const uint8_t which = take8(in);
    switch (which % 6u) {
        case 0u: return a->min;
        case 1u: return a->max;
        case 2u: return a->safe;
        case 3u: return (int32_t)take32(in);
        default: return (int32_t)(a->min + (((int64_t)a->max - a->min) * take8(in)) / 255);
    }
}

/* ---- actions --------------------------------------------------------------------------------------------------- */

static void pass_time(input *in, uint8_t how) {
    static const uint32_t SPANS[] = {0u, 1u, 999u, 1000u, 1001u, 20000u, 49999u, 50000u, 50001u, 119999u, 120001u, 500000u};
    uint64_t span = SPANS[how % 12u];
    if ((how & 0x20u) != 0u) {
        span = take32(in) % 2000000u;
    }
    if ((how & 0x80u) != 0u) { /* one late step instead of many */
        w.now_us += span;
        tick();
        return;
    }
    for (uint32_t steps = 0u; (span > 0u) && (steps < 60u); steps++) {
        const uint64_t step = (span > 1000u) ? 1000u : span;
        span -= step;
        w.now_us += step;
        tick();
    }
}

static void sense(input *in, uint8_t how) {
    if ((how & 0x40u) != 0u) {
        w.device.senses.stop_released = ((how & 0x01u) != 0u) ? 1u : take8(in);
        return;
    }
    eg_reading *r = ((how & 0x01u) != 0u) ? &w.device.senses.sensor[(how >> 1) % EG_SENSORS_ROOM]
                                          : &w.device.senses.measured[(how >> 1) % EG_ACTUATORS];
    w.live = w.live && ((how & 0x20u) != 0u);
    r->value = value_for(in, how >> 1);
    r->at_us = w.now_us - take8(in) * (uint64_t)((how & 0x10u) != 0u ? 1000u : 1u) + ((how & 0x08u) != 0u ? 100u : 0u);
    r->valid = ((how & 0x80u) != 0u) ? take8(in) : 1u;
}

/* All that arming needs, in one action, so that the fuzzer need not find it. */
static void enable(input *in, uint8_t how) {
    w.live = true;
    w.device.senses.stop_released = 1u;
    tick();
    const wish release = {EG_OPERATOR_KEY, (uint8_t)EG_RELEASE, (uint8_t)EG_HUMAN, 0u, 0};
    if ((how & 0x01u) != 0u) {
        send_open(in, 0u);
    }
    send_command(in, 0u, &release);
    for (uint32_t n = 0u; n < 5u; n++) {
        for (uint8_t i = 0u; i < EG_ACTUATORS; i++) {
            const wish set = {EG_HOST_KEY, (uint8_t)EG_SET, (uint8_t)EG_RULES, i, value_for(in, i)};
            send_command(in, 0u, &set);
        }
        w.now_us += 10000u;
        tick();
    }
    const wish arm = {EG_OPERATOR_KEY, (uint8_t)EG_ARM, (uint8_t)EG_HUMAN, 0u, 0};
    if ((how & 0x02u) != 0u) {
        send_command(in, 0u, &arm);
    }
}

static void replay(input *in, uint8_t how) {
    const uint32_t which = take8(in) % RING;
    uint8_t raw[EG_FRAME_MAX];
    memcpy(raw, w.ring[which], w.length[which]);
    if (((how & 0x01u) != 0u) && (w.length[which] > 0u)) {
        take_change(in, raw, w.length[which]);
    }
    deliver(raw, w.length[which]);
}

static void reset(input *in, uint8_t how) {
    eg_retained kept = w.device.kept;
    w.now_us = ((how & 0x01u) != 0u) ? 0u : w.now_us;
    if ((how & 0x02u) != 0u) {
        take_change(in, (uint8_t *)&kept, sizeof kept);
    }
    boot(((how & 0x0Cu) == 0u) ? NULL : &kept, (uint8_t)(((how & 0x10u) != 0u) ? 0u : 1u));
}

static void act(input *in) {
    const uint8_t op = take8(in);
    const uint8_t how = take8(in);
    switch (op % 16u) {
        case 0u:
            for (uint32_t i = 0u; (i < how) && (in->at != in->end); i++) {
                const uint8_t byte = take8(in);
                deliver(&byte, 1u);
            }
            break;
        case 1u: case 2u: case 3u:
            pass_time(in, how);
            break;
        case 4u:
            send_open(in, how);
            break;
        case 5u: case 6u: case 7u: {
            const uint8_t i = op / 16u % EG_ACTUATORS;
            const wish set = {EG_HOST_KEY, (uint8_t)EG_SET, how / 16u % 4u, i, value_for(in, i)};
            send_command(in, how & 0x0Fu, &set);
            break;
        }
        case 8u: {
            wish other = {.key = op / 16u % EG_KEYS};
            other.action = take8(in) % 8u;
            other.source = take8(in) % 5u;
            send_command(in, how, &other);
            break;
        }
        case 9u: {
            const uint8_t action = ((op & 0x10u) != 0u) ? (uint8_t)EG_ARM : (uint8_t)EG_RELEASE;
            const wish operators = {EG_OPERATOR_KEY, action, (uint8_t)EG_HUMAN, 0u, 0};
            send_command(in, how, &operators);
            break;
        }
        case 10u: case 11u:
            sense(in, how);
            break;
        case 12u:
            replay(in, how);
            break;
        case 13u:
            reset(in, how);
            break;
        case 14u:
            enable(in, how);
            break;
        default:
            if ((how == 0xFFu) && (w.now_us > 5000u)) { /* a clock that goes backwards */
                w.now_us -= take8(in) * 16u;
                tick();
            }
            w.live = w.live || ((how & 0x01u) != 0u);
            drain();
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    memset(&w, 0, sizeof w);
    w.identity.keys = FUZZ_KEYS;
    w.now_us = 1000000u;
    boot(NULL, 1u);
    for (uint32_t steps = 0u; (in.at != in.end) && (steps < STEPS_MAX) && (w.signed_count < SIGNED_MAX); steps++) {
        act(&in);
    }
    drain();
    return 0;
}
