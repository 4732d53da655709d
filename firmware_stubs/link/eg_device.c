/* Session layer over the frames of eg_wire.h: see eg_device.h, and docs/reference/link-protocol.md for the protocol.
 * Every frame is refused unless each check passes in the order written; each refusal has its code.
 * Nothing here decides about authority: the core is asked, and only its outputs are reported. */
#include "eg_device.h"

#include "eg_report.h"
#include "eg_retained.h"
#include "eg_sha256.h"

#define DATA_ID 0xE600u
#define POLICY_BYTES 16u

#ifdef EG_FOR_RELEASE
#define TEST_KEYS_REFUSED true
#else
#define TEST_KEYS_REFUSED false
#endif

static const uint8_t TEST_KEY[EG_KEYS][EG_KEY_SIZE] = {
    {'e', 'd', 'g', 'e', 'g', 'u', 'a', 'r', 'd', '-', 'T', 'E', 'S', 'T', '-', 'k',
     'e', 'y', '-', 'd', 'o', '-', 'n', 'o', 't', '-', 's', 'h', 'i', 'p', '!', '!'},
    {'e', 'd', 'g', 'e', 'g', 'u', 'a', 'r', 'd', '-', 'T', 'E', 'S', 'T', '-', 'o',
     'p', 'e', 'r', 'a', 't', 'o', 'r', '-', 'n', 'o', '-', 's', 'h', 'i', 'p', '!'},
};

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

/* SHA-256(host key, a, b)[:8]: session identifiers and nonces. */
static void derive(const eg_device *d, const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                   uint8_t out[8]) {
    eg_sha256 hash;
    uint8_t digest[EG_SHA256_SIZE];
    eg_sha256_start(&hash);
    eg_sha256_add(&hash, d->identity.keys.key[EG_HOST_KEY], EG_KEY_SIZE);
    eg_sha256_add(&hash, a, a_size);
    eg_sha256_add(&hash, b, b_size);
    eg_sha256_end(&hash, digest);
    copy(out, digest, 8u);
}

static void new_nonce(eg_device *d) {
    uint8_t number[8];
    eg_store(number, 8u, d->opened);
    derive(d, d->identity.seed, EG_SEED_SIZE, number, sizeof number, d->nonce);
}

/* One byte over and over, as in memory that was erased and never written: nobody's key, so everybody's. */
static bool is_blank(const uint8_t *key) {
    return eg_equal(&key[0], &key[1], EG_KEY_SIZE - 1u);
}

/* Keys that anybody may know, or one key for both roles. */
static bool keys_are_public(const eg_keys *keys) {
    bool found = eg_equal(keys->key[EG_HOST_KEY], keys->key[EG_OPERATOR_KEY], EG_KEY_SIZE);
    for (uint32_t i = 0u; i < EG_KEYS; i++) {
        found = found || is_blank(keys->key[i]);
        for (uint32_t j = 0u; j < EG_KEYS; j++) {
            found = found || eg_equal(keys->key[i], TEST_KEY[j], EG_KEY_SIZE);
        }
    }
    return found;
}

/* ---- the core, twice ------------------------------------------------------------------------------------------- */

/* A step of both copies, of this pair and under this table: pointers that bend on the way are found afterwards. */
static bool step_pair(eg_device *d, const eg_inputs *inputs, uint64_t now_us, eg_outputs *again) {
    static const eg_table *const volatile table = &eg_policy_table; /* another way to it */
    d->pair.agreed_under = NULL;
    (void)eg_pair_step(table, &d->pair, inputs, now_us, &d->outputs, again);
    return d->pair.agreed_under == &eg_policy_table;
}

/* Copies that differ: which one is damaged is not known, so neither acts. What was kept has a check of its own; with
 * nothing sound kept there is nothing to begin anew from. Returns false if nothing may be driven. */
static bool step_or_lock(eg_device *d, const eg_inputs *inputs, uint64_t now_us, eg_outputs *again) {
    if (step_pair(d, inputs, now_us, again)) {
        return true;
    }
    if (eg_latest(&d->kept) == NULL) {
        return false;
    }
    eg_pair_init(&eg_policy_table, &d->pair, &d->kept, now_us);
    eg_pair_lock(&d->pair, EG_STATE_INVALID, EG_LATCH_MEMORY);
    return step_pair(d, inputs, now_us, again);
}

/* No output stage takes these pairs; the board lets the watchdog reset it, and begins with what it kept before. */
static void give_up(eg_device *d) {
    d->given_up = 1u;
    d->outputs.mode = (uint8_t)EG_LOCKOUT;
    d->outputs.reason = (uint8_t)EG_STATE_INVALID;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        d->again.value[i] = d->outputs.value[i];
    }
}

static void step(eg_device *d, const eg_request *request, uint64_t now_us) {
    const uint8_t mode = d->outputs.mode;
    const uint8_t latches = d->outputs.latches;
    const eg_inputs inputs = {.request = *request, .senses = d->senses};
    eg_outputs again;
    if ((d->given_up != 0u) || !step_or_lock(d, &inputs, now_us, &again)) {
        give_up(d);
        return;
    }
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        d->again.value[i] = (int32_t)~(uint32_t)again.value[i];
    }
    eg_retain(&d->outputs, &again, &d->kept);
    if ((d->outputs.mode != mode) || (d->outputs.latches != latches)) {
        d->status_us = now_us; /* host and operator hear of it now */
        d->offer_us = now_us;
    }
}

eg_drive eg_device_drive(const eg_device *device, uint32_t actuator) {
    return (eg_drive){.value = (uint32_t)device->outputs.value[actuator],
                      .check = (uint32_t)device->again.value[actuator]};
}

void eg_device_init(eg_device *device, const eg_identity *identity, const eg_retained *retained, uint8_t stop_released,
                    uint64_t now_us) {
    *device = (eg_device){.hello_us = now_us, .status_us = now_us, .offer_us = now_us, .heard_us = now_us};
    device->identity = *identity;
    device->senses.stop_released = stop_released;
    if (retained != NULL) {
        device->kept = *retained;
    }
    eg_pair_init(&eg_policy_table, &device->pair, &device->kept, now_us);
    if (TEST_KEYS_REFUSED && keys_are_public(&identity->keys)) {
        eg_pair_lock(&device->pair, EG_KEY_REFUSED, 0u);
    }
    new_nonce(device);
    step(device, &(eg_request){.action = (uint8_t)EG_NOTHING}, now_us);
}

/* ---- receiving ------------------------------------------------------------------------------------------------- */

/* Returns 0 or why it is refused. */
static uint8_t take_open(eg_device *d, const uint8_t *payload, uint64_t now_us) {
    if (!eg_equal(&payload[0], d->nonce, 8u)) {
        return (uint8_t)EG_NONCE_WRONG;
    }
    if (!eg_equal(&payload[16], eg_policy_table.digest, POLICY_BYTES)) {
        return (uint8_t)EG_NOT_THE_POLICY;
    }
    if (payload[32] != EG_PROTOCOL) {
        return (uint8_t)EG_PROTOCOL_WRONG;
    }
    derive(d, d->nonce, 8u, &payload[8], 8u, d->session);
    d->opened++;
    new_nonce(d); /* an OPEN works once */
    for (uint32_t i = 0u; i < EG_KEYS; i++) {
        d->heard[i] = 0u;
    }
    d->accepted = 0u;
    d->sent = 0u;
    d->heard_us = now_us;
    d->status_us = now_us;
    d->offer_us = now_us;
    d->hello_us = now_us + EG_HELLO_PERIOD_SESSION_US;
    step(d, &(eg_request){.action = (uint8_t)EG_OPENED}, now_us);
    return 0u;
}

/* Whether whoever signed with this key may ask for this at all. */
static uint8_t check_action(uint8_t action, uint32_t key) {
    switch (action) {
        case EG_SET:
            return (key == EG_HOST_KEY) ? 0u : (uint8_t)EG_KEY_WRONG;
        case EG_ARM:
        case EG_RELEASE:
            return (key == EG_OPERATOR_KEY) ? 0u : (uint8_t)EG_KEY_WRONG;
        case EG_DISARM:
            return 0u;
        default:
            return (uint8_t)EG_NO_SUCH_ACTION; /* nothing and opened are not theirs to say */
    }
}

static uint8_t take_command(eg_device *d, const uint8_t *payload, uint32_t key, uint64_t now_us) {
    const uint32_t counter = (uint32_t)eg_load(&payload[8], 4u);
    const uint8_t actuator = payload[29];
    if ((d->pair.state.session != 1u) || !eg_equal(&payload[0], d->session, 8u)) {
        return (uint8_t)EG_SESSION_WRONG;
    }
    if (counter <= d->heard[key]) {
        return (uint8_t)EG_COUNTER_OLD;
    }
    d->heard[key] = counter;
    if (eg_load(&payload[26], 2u) != ((uint64_t)DATA_ID + actuator)) {
        return (uint8_t)EG_DATA_ID_WRONG;
    }
    const uint8_t action = payload[30];
    const uint8_t objection = check_action(action, key);
    if (objection != 0u) {
        return objection;
    }
    const eg_request request = {.action = action,
                                .source = payload[28],
                                .actuator = actuator,
                                .by_operator = (key == EG_OPERATOR_KEY) ? 1u : 0u,
                                .valid_ms = (uint16_t)eg_load(&payload[24], 2u),
                                /* modulo 2^32: an echo from the future is very old */
                                .age_ms = (uint32_t)(now_us / 1000u) - (uint32_t)eg_load(&payload[12], 4u),
                                .policy_hash = (uint32_t)eg_load(&payload[16], 4u),
                                .value = (int32_t)(uint32_t)eg_load(&payload[20], 4u)};
    step(d, &request, now_us);
    if ((d->outputs.refusal == (uint8_t)EG_ACCEPTED) && (key == EG_HOST_KEY)) {
        d->accepted = counter;
        d->heard_us = now_us;
    }
    return d->outputs.refusal;
}

static uint8_t take_frame(eg_device *d, const eg_frame *f, uint64_t now_us) {
    const bool from_host = (f->link == EG_LINK_TO_MCU) && ((f->message == EG_OPEN) || (f->message == EG_COMMAND));
    const bool from_operator = (f->link == EG_LINK_FROM_OPERATOR) && (f->message == EG_COMMAND);
    if ((f->system != EG_SYSTEM_HOST) || (f->component != EG_COMPONENT) || !(from_host || from_operator)) {
        return (uint8_t)EG_DIRECTION_WRONG;
    }
    if (f->payload[f->length - 1u] != EG_FLAG_ALWAYS) {
        return (uint8_t)EG_FLAGS_WRONG;
    }
    if (f->message == EG_OPEN) {
        return take_open(d, f->payload, now_us);
    }
    return take_command(d, f->payload, from_operator ? EG_OPERATOR_KEY : EG_HOST_KEY, now_us);
}

static void take_parsed(eg_device *d, eg_parsed parsed, const eg_frame *frame, uint64_t now_us) {
    if (parsed == EG_BAD_CHECKSUM) {
        count(&d->crc_errors);
        return;
    }
    const uint8_t why = (parsed == EG_FRAME) ? take_frame(d, frame, now_us) : (uint8_t)EG_SIGNATURE_WRONG;
    if (why != 0u) {
        d->refusal = why;
        count(&d->rejected);
    }
}

void eg_device_receive(eg_device *device, uint8_t byte, uint64_t now_us) {
    eg_frame frame;
    eg_parser_push(&device->parser, byte);
    eg_parsed parsed = eg_parser_next(&device->parser, &device->identity.keys, &frame);
    while (parsed != EG_MORE) {
        take_parsed(device, parsed, &frame, now_us);
        parsed = eg_parser_next(&device->parser, &device->identity.keys, &frame);
    }
}

void eg_device_tick(eg_device *device, uint64_t now_us) {
    step(device, &(eg_request){.action = (uint8_t)EG_NOTHING}, now_us);
    const bool session = device->pair.state.session == 1u;
    if (now_us >= device->hello_us) {
        eg_send_hello(device, now_us);
        device->hello_us = now_us + (session ? EG_HELLO_PERIOD_SESSION_US : EG_HELLO_PERIOD_US);
    }
    if (session && (now_us >= device->status_us)) {
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            eg_send_status(device, (uint8_t)i, now_us);
        }
        device->status_us = now_us + EG_STATUS_PERIOD_US;
    }
    if (session && (now_us >= device->offer_us)) {
        eg_send_offer(device, now_us);
        device->offer_us = now_us + EG_OFFER_PERIOD_US;
    }
}
