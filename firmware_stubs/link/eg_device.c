/* Session layer over the frames of eg_wire.h: see eg_device.h, and docs/reference/link-protocol.md for the protocol.
 * Every frame is refused unless each check passes in the order written; each refusal has its code.
 * Nothing here decides about authority: the core is asked, and only its outputs are reported. */
#include "eg_device.h"

#include "eg_sha256.h"

#define DATA_ID 0xE600u
#define STATUS_DEGRADED 0x01u
#define STATUS_READY 0x02u
#define HELLO_IN_SESSION 0x01u
#define POLICY_BYTES 16u

#ifdef EG_RELEASE
#define TEST_KEY_REFUSED true
#else
#define TEST_KEY_REFUSED false
#endif

static const uint8_t TEST_KEY[EG_KEY_SIZE] = {'e', 'd', 'g', 'e', 'g', 'u', 'a', 'r', 'd', '-', 'T',
                                              'E', 'S', 'T', '-', 'k', 'e', 'y', '-', 'd', 'o', '-',
                                              'n', 'o', 't', '-', 's', 'h', 'i', 'p', '!', '!'};

static bool equal(const uint8_t *a, const uint8_t *b, uint32_t length) {
    uint8_t difference = 0u;
    for (uint32_t i = 0u; i < length; i++) {
        difference |= (uint8_t)(a[i] ^ b[i]);
    }
    return difference == 0u;
}

static void copy(uint8_t *to, const uint8_t *from, uint32_t length) {
    for (uint32_t i = 0u; i < length; i++) {
        to[i] = from[i];
    }
}

static void count(uint16_t *counter) {
    if (*counter < UINT16_MAX) {
        (*counter)++;
    }
}

/* SHA-256(key, a, b)[:8]: session identifiers and nonces. */
static void derive(const uint8_t key[EG_KEY_SIZE], const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                   uint8_t out[8]) {
    eg_sha256 hash;
    uint8_t digest[EG_SHA256_SIZE];
    eg_sha256_start(&hash);
    eg_sha256_add(&hash, key, EG_KEY_SIZE);
    eg_sha256_add(&hash, a, a_size);
    eg_sha256_add(&hash, b, b_size);
    eg_sha256_end(&hash, digest);
    copy(out, digest, 8u);
}

static void new_nonce(eg_device *d) {
    uint8_t number[8];
    eg_store(number, 8u, d->opened);
    derive(d->key, d->seed, EG_SEED_SIZE, number, sizeof number, d->nonce);
}

void eg_device_init(eg_device *device, const eg_table *table, const uint8_t key[EG_KEY_SIZE],
                    const uint8_t seed[EG_SEED_SIZE], uint64_t now_us) {
    *device = (eg_device){.table = table, .hello_us = now_us, .status_us = now_us, .heard_us = now_us};
    copy(device->key, key, EG_KEY_SIZE);
    copy(device->seed, seed, EG_SEED_SIZE);
    eg_init(table, &device->state, now_us);
    if (TEST_KEY_REFUSED && equal(key, TEST_KEY, EG_KEY_SIZE)) {
        eg_lock(&device->state, EG_KEY_REFUSED);
    }
    new_nonce(device);
    device->outputs = eg_step(table, &device->state, &(eg_inputs){.action = (uint8_t)EG_NOTHING}, now_us);
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

static void enqueue(eg_device *d, eg_frame *frame, uint64_t now_us) {
    uint8_t raw[EG_FRAME_MAX];
    frame->system = (uint8_t)EG_SYSTEM_MCU;
    frame->component = (uint8_t)EG_COMPONENT;
    frame->link = (uint8_t)EG_LINK_TO_HOST;
    const size_t length = eg_pack(frame, d->sequence, now_us / 10u, d->key, raw);
    if ((length == 0u) || (length > ((size_t)EG_SEND_BUFFER - d->send_used))) {
        count(&d->dropped); /* whole frames only: half a frame is worth nothing */
        return;
    }
    d->sequence++;
    for (size_t i = 0u; i < length; i++) {
        d->send[(d->send_head + d->send_used) % EG_SEND_BUFFER] = raw[i];
        d->send_used++;
    }
}

size_t eg_device_take(eg_device *device, uint8_t *out, size_t room) {
    size_t taken = 0u;
    while ((taken < room) && (device->send_used > 0u)) {
        out[taken] = device->send[device->send_head];
        device->send_head = (device->send_head + 1u) % EG_SEND_BUFFER;
        device->send_used--;
        taken++;
    }
    return taken;
}

static void send_hello(eg_device *d, uint64_t now_us) {
    eg_frame f = {.message = EG_HELLO, .length = (uint8_t)EG_HELLO_SIZE};
    copy(&f.payload[0], d->nonce, 8u);
    eg_store(&f.payload[8], 4u, EG_FIRMWARE);
    eg_store(&f.payload[12], 2u, d->table->lost_us / 1000u);
    eg_store(&f.payload[14], 2u, d->table->valid_max_ms);
    copy(&f.payload[16], d->table->digest, POLICY_BYTES);
    f.payload[32] = (uint8_t)EG_PROTOCOL;
    f.payload[33] = (uint8_t)EG_ACTUATORS;
    f.payload[34] = d->outputs.mode;
    f.payload[35] = (uint8_t)(EG_FLAG_ALWAYS | (d->state.session ? HELLO_IN_SESSION : 0u));
    enqueue(d, &f, now_us);
}

static void send_status(eg_device *d, uint8_t actuator, uint64_t now_us) {
    eg_frame f = {.message = EG_STATUS, .length = (uint8_t)EG_STATUS_SIZE};
    const uint64_t age = (now_us > d->heard_us) ? ((now_us - d->heard_us) / 100u) : 0u;
    d->sent++;
    copy(&f.payload[0], d->session, 8u);
    eg_store(&f.payload[8], 4u, d->sent);
    eg_store(&f.payload[12], 4u, now_us / 1000u);
    eg_store(&f.payload[16], 4u, d->accepted);
    eg_store(&f.payload[20], 4u, (uint32_t)d->outputs.value[actuator]);
    eg_store(&f.payload[24], 2u, (age > UINT16_MAX) ? UINT16_MAX : age);
    eg_store(&f.payload[26], 2u, d->rejected);
    eg_store(&f.payload[28], 2u, d->crc_errors);
    eg_store(&f.payload[30], 2u, d->dropped);
    f.payload[32] = d->outputs.mode;
    f.payload[33] = d->outputs.source;
    f.payload[34] = d->outputs.reason;
    f.payload[35] = d->refusal;
    f.payload[36] = actuator;
    f.payload[37] = (uint8_t)(EG_FLAG_ALWAYS | (d->outputs.degraded ? STATUS_DEGRADED : 0u) |
                              (d->outputs.ready ? STATUS_READY : 0u));
    enqueue(d, &f, now_us);
}

/* ---- receiving ------------------------------------------------------------------------------------------------- */

static void step(eg_device *d, const eg_inputs *in, uint64_t now_us) {
    const uint8_t before = d->outputs.mode;
    d->outputs = eg_step(d->table, &d->state, in, now_us);
    if (d->outputs.mode != before) {
        d->status_us = now_us; /* the host hears of it now */
    }
}

/* Returns 0 or why it is refused. */
static uint8_t take_open(eg_device *d, const uint8_t *payload, uint64_t now_us) {
    if (!equal(&payload[0], d->nonce, 8u)) {
        return (uint8_t)EG_NONCE_WRONG;
    }
    if (!equal(&payload[16], d->table->digest, POLICY_BYTES)) {
        return (uint8_t)EG_NOT_THE_POLICY;
    }
    if (payload[32] != EG_PROTOCOL) {
        return (uint8_t)EG_PROTOCOL_WRONG;
    }
    derive(d->key, d->nonce, 8u, &payload[8], 8u, d->session);
    d->opened++;
    new_nonce(d); /* an OPEN works once */
    d->heard = 0u;
    d->accepted = 0u;
    d->sent = 0u;
    d->heard_us = now_us;
    d->status_us = now_us;
    d->hello_us = now_us + EG_HELLO_PERIOD_SESSION_US;
    step(d, &(eg_inputs){.action = (uint8_t)EG_OPENED}, now_us);
    return 0u;
}

static uint8_t take_command(eg_device *d, const uint8_t *payload, uint64_t now_us) {
    const uint32_t counter = (uint32_t)eg_load(&payload[8], 4u);
    const uint8_t actuator = payload[29];
    if (!d->state.session || !equal(&payload[0], d->session, 8u)) {
        return (uint8_t)EG_SESSION_WRONG;
    }
    if (counter <= d->heard) {
        return (uint8_t)EG_COUNTER_OLD;
    }
    d->heard = counter;
    if (eg_load(&payload[26], 2u) != ((uint64_t)DATA_ID + actuator)) {
        return (uint8_t)EG_DATA_ID_WRONG;
    }
    /* EG_NOTHING and EG_OPENED are not the host's to say. */
    const uint8_t action = payload[30];
    if ((action < (uint8_t)EG_SET) || (action > (uint8_t)EG_DISARM)) {
        return (uint8_t)EG_NO_SUCH_ACTION;
    }
    const eg_inputs in = {.action = action,
                          .source = payload[28],
                          .actuator = actuator,
                          .valid_ms = (uint16_t)eg_load(&payload[24], 2u),
                          /* modulo 2^32: an echo from the future is very old */
                          .age_ms = (uint32_t)(now_us / 1000u) - (uint32_t)eg_load(&payload[12], 4u),
                          .policy_hash = (uint32_t)eg_load(&payload[16], 4u),
                          .value = (int32_t)(uint32_t)eg_load(&payload[20], 4u)};
    step(d, &in, now_us);
    if (d->outputs.refusal == (uint8_t)EG_ACCEPTED) {
        d->accepted = counter;
        d->heard_us = now_us;
    }
    return d->outputs.refusal;
}

static uint8_t take_frame(eg_device *d, const eg_frame *f, uint64_t now_us) {
    const bool from_host = (f->system == EG_SYSTEM_HOST) && (f->component == EG_COMPONENT) &&
                           (f->link == EG_LINK_TO_MCU);
    const bool for_us = (f->message == EG_OPEN) || (f->message == EG_COMMAND);
    if (!from_host || !for_us) {
        return (uint8_t)EG_DIRECTION_WRONG;
    }
    if (f->payload[f->length - 1u] != EG_FLAG_ALWAYS) {
        return (uint8_t)EG_FLAGS_WRONG;
    }
    return (f->message == EG_OPEN) ? take_open(d, f->payload, now_us) : take_command(d, f->payload, now_us);
}

static void refuse(eg_device *d, uint8_t why) {
    d->refusal = why;
    count(&d->rejected);
}

void eg_device_receive(eg_device *device, uint8_t byte, uint64_t now_us) {
    eg_frame frame;
    eg_parser_push(&device->parser, byte);
    eg_parsed parsed = eg_parser_next(&device->parser, device->key, &frame);
    while (parsed != EG_MORE) {
        if (parsed == EG_BAD_CHECKSUM) {
            count(&device->crc_errors);
        } else {
            const uint8_t why =
                (parsed == EG_FRAME) ? take_frame(device, &frame, now_us) : (uint8_t)EG_SIGNATURE_WRONG;
            if (why != 0u) {
                refuse(device, why);
            }
        }
        parsed = eg_parser_next(&device->parser, device->key, &frame);
    }
}

void eg_device_tick(eg_device *device, uint64_t now_us) {
    step(device, &(eg_inputs){.action = (uint8_t)EG_NOTHING}, now_us);
    if (now_us >= device->hello_us) {
        send_hello(device, now_us);
        device->hello_us =
            now_us + (device->state.session ? EG_HELLO_PERIOD_SESSION_US : EG_HELLO_PERIOD_US);
    }
    if (device->state.session && (now_us >= device->status_us)) {
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            send_status(device, (uint8_t)i, now_us);
        }
        device->status_us = now_us + EG_STATUS_PERIOD_US;
    }
}
