/* Framing beside mavgen's C parser, generated from link/edgeguard.xml at build time: the same bytes into both.
 * Frames are made with mavgen's checksum and SHA-256, so that nothing of ours vouches for itself. Where the two are meant
 * to differ is written in `intended`; any other difference ends the run. */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"

#include <mavlink.h>

#define RAW_ROOM (10u + 255u + 15u)
#define STREAM_ROOM 4096u

typedef struct {
    mavlink_message_t buffer;
    mavlink_status_t status;
    mavlink_signing_t signing;
    mavlink_signing_streams_t streams;
} mav;

static void mav_start(mav *m, uint32_t key) {
    memset(m, 0, sizeof *m);
    memcpy(m->signing.secret_key, FUZZ_KEYS.key[key], EG_KEY_SIZE);
    m->status.signing = &m->signing; /* no callback: unsigned frames are refused */
    m->status.signing_streams = &m->streams;
}

static bool mav_push(mav *m, uint8_t byte, mavlink_message_t *out) {
    mavlink_status_t status;
    m->streams.num_signing_streams = 0u; /* its replay protection by time stamp is not ours: the session's job */
    m->signing.timestamp = 0u;
    const uint8_t framing = mavlink_frame_char_buffer(&m->buffer, &m->status, byte, out, &status);
    return framing == MAVLINK_FRAMING_OK;
}

/* Of what mavgen accepts under the key that its link asks for, what the page says is refused all the same. */
static bool intended(const mavlink_message_t *m) {
    const mavlink_msg_entry_t *entry = mavlink_get_msg_entry(m->msgid);
    const bool whole = (entry != NULL) && (m->len == entry->max_msg_len); /* neither cut nor longer */
    return (m->magic != MAVLINK_STX) || (m->incompat_flags != MAVLINK_IFLAG_SIGNED) || (m->compat_flags != 0u) ||
           !whole || (m->signature[0] > EG_LINK_TO_OPERATOR);
}

static uint32_t key_of(uint8_t link) {
    return (link >= EG_LINK_FROM_OPERATOR) ? EG_OPERATOR_KEY : EG_HOST_KEY;
}

/* Field by field, through mavgen's own getters. */
static void fields_agree(const mavlink_message_t *m, const eg_frame *f) {
    const uint8_t *p = f->payload;
    if (f->message == EG_HELLO) {
        mavlink_eg_hello_t h;
        mavlink_msg_eg_hello_decode(m, &h);
        REQUIRE((h.mcu_nonce == eg_load(p, 8u)) && (h.firmware == eg_load(&p[8], 4u)));
        REQUIRE((h.lost_ms == eg_load(&p[12], 2u)) && (h.valid_max_ms == eg_load(&p[14], 2u)));
        REQUIRE((memcmp(h.policy, &p[16], 16u) == 0) && (h.protocol == p[32]) && (h.actuators == p[33]));
        REQUIRE((h.mode == p[34]) && (h.flags == p[35]));
    } else if (f->message == EG_OPEN) {
        mavlink_eg_open_t o;
        mavlink_msg_eg_open_decode(m, &o);
        REQUIRE((o.mcu_nonce == eg_load(p, 8u)) && (o.host_nonce == eg_load(&p[8], 8u)));
        REQUIRE((memcmp(o.policy, &p[16], 16u) == 0) && (o.protocol == p[32]) && (o.flags == p[33]));
    } else if (f->message == EG_COMMAND) {
        mavlink_eg_command_t c;
        mavlink_msg_eg_command_decode(m, &c);
        REQUIRE((c.session == eg_load(p, 8u)) && (c.counter == eg_load(&p[8], 4u)));
        REQUIRE((c.mcu_ms_echo == eg_load(&p[12], 4u)) && (c.policy_hash == eg_load(&p[16], 4u)));
        REQUIRE(((uint32_t)c.value == eg_load(&p[20], 4u)) && (c.valid_ms == eg_load(&p[24], 2u)));
        REQUIRE((c.data_id == eg_load(&p[26], 2u)) && (c.source == p[28]) && (c.actuator == p[29]));
        REQUIRE((c.action == p[30]) && (c.flags == p[31]));
    } else if (f->message == EG_STATUS) {
        mavlink_eg_status_t s;
        mavlink_msg_eg_status_decode(m, &s);
        REQUIRE((s.session == eg_load(p, 8u)) && (s.counter == eg_load(&p[8], 4u)));
        REQUIRE((s.mcu_ms == eg_load(&p[12], 4u)) && (s.counter_echo == eg_load(&p[16], 4u)));
        REQUIRE(((uint32_t)s.value == eg_load(&p[20], 4u)) && (s.age == eg_load(&p[24], 2u)));
        REQUIRE((s.rejected == eg_load(&p[26], 2u)) && (s.crc_errors == eg_load(&p[28], 2u)));
        REQUIRE((s.dropped == eg_load(&p[30], 2u)) && (s.mode == p[32]) && (s.source == p[33]));
        REQUIRE((s.reason == p[34]) && (s.refusal == p[35]) && (s.actuator == p[36]));
        REQUIRE((s.latches == p[37]) && (s.flags == p[38]));
    } else {
        mavlink_eg_offer_t o;
        mavlink_msg_eg_offer_decode(m, &o);
        REQUIRE((o.session == eg_load(p, 8u)) && (o.mcu_ms == eg_load(&p[8], 4u)));
        REQUIRE((o.policy_hash == eg_load(&p[12], 4u)) && (o.mode == p[16]) && (o.reason == p[17]));
        REQUIRE((o.latches == p[18]) && (o.flags == p[19]));
    }
}

static bool is_same(const mavlink_message_t *m, const eg_frame *f) {
    return (m->msgid == f->message) && (m->sysid == f->system) && (m->compid == f->component) &&
           (m->signature[0] == f->link) && (m->len == f->length) &&
           (memcmp(_MAV_PAYLOAD(m), f->payload, f->length) == 0);
}

/* ---- frames, made with mavgen's own parts ---------------------------------------------------------------------- */

static uint32_t sealed(uint8_t *raw, uint32_t length, uint8_t link, uint8_t how, input *in) {
    const mavlink_msg_entry_t *entry = mavlink_get_msg_entry((uint32_t)eg_load(&raw[7], 3u));
    uint16_t crc;
    crc_init(&crc);
    for (uint32_t i = 1u; i < 10u + length; i++) {
        crc_accumulate(raw[i], &crc);
    }
    crc_accumulate((entry == NULL) ? 0u : entry->crc_extra, &crc);
    raw[10u + length] = (uint8_t)(crc & 0xFFu);
    raw[11u + length] = (uint8_t)(crc >> 8);
    uint8_t *tail = &raw[12u + length];
    tail[0] = link;
    take_bytes(in, &tail[1], 6u);
    const uint32_t key = ((how & 0x01u) != 0u) ? (1u - key_of(link)) : key_of(link); /* or the other's key */
    mavlink_sha256_ctx sha;
    mavlink_sha256_init(&sha);
    mavlink_sha256_update(&sha, FUZZ_KEYS.key[key], EG_KEY_SIZE);
    mavlink_sha256_update(&sha, raw, 19u + length);
    mavlink_sha256_final_48(&sha, &tail[7]);
    return ((raw[2] & MAVLINK_IFLAG_SIGNED) != 0u) ? (25u + length) : (12u + length);
}

/* `how`: bit 0 the wrong key, 1 any flags, 2 any message, 3 any link, 4 cut zeros, 5 any length, 6 one byte changed. */
static uint32_t make(input *in, uint8_t raw[RAW_ROOM]) {
    const uint8_t how = take8(in);
    const uint8_t kind = take8(in);
    uint32_t message = EG_HELLO + (kind % 5u);
    uint32_t length = size_of(message);
    raw[0] = MAVLINK_STX;
    raw[2] = ((how & 0x02u) != 0u) ? take8(in) : MAVLINK_IFLAG_SIGNED;
    raw[3] = ((how & 0x02u) != 0u) ? take8(in) : 0u;
    raw[4] = take8(in);
    raw[5] = take8(in);
    raw[6] = take8(in);
    if ((how & 0x04u) != 0u) {
        message = take32(in) & 0xFFFFFFu;
    }
    if ((how & 0x20u) != 0u) {
        length = take8(in);
    }
    eg_store(&raw[7], 3u, message);
    take_bytes(in, &raw[10], length);
    while (((how & 0x10u) != 0u) && (length > 1u) && (raw[9u + length] == 0u)) {
        length--; /* as MAVLink 2 lets a sender do */
    }
    raw[1] = (uint8_t)length;
    const uint8_t link = ((how & 0x08u) != 0u) ? take8(in) : (uint8_t)((kind >> 4) % 4u);
    const uint32_t total = sealed(raw, length, link, how, in);
    if ((how & 0x40u) != 0u) {
        take_change(in, raw, total);
    }
    return total;
}

/* ---- one frame, alone ------------------------------------------------------------------------------------------ */

static void alone(const uint8_t *raw, uint32_t total) {
    static mav other[EG_KEYS];
    eg_parser parser = {0};
    eg_frame frame = {0};
    mavlink_message_t message = {0};
    bool theirs = false;
    bool ours = false;
    mav_start(&other[0], EG_HOST_KEY);
    mav_start(&other[1], EG_OPERATOR_KEY);
    for (uint32_t i = 0u; i < total; i++) {
        for (uint32_t k = 0u; k < EG_KEYS; k++) {
            mavlink_message_t found;
            if (mav_push(&other[k], raw[i], &found) && (key_of(found.signature[0]) == k)) {
                theirs = true;
                message = found;
            }
        }
        eg_parser_push(&parser, raw[i]);
        while (true) {
            eg_frame found;
            const eg_parsed parsed = eg_parser_next(&parser, &FUZZ_KEYS, &found);
            if (parsed == EG_MORE) {
                break;
            }
            if (parsed == EG_FRAME) {
                REQUIRE(!ours);
                ours = true;
                frame = found;
            }
        }
    }
    REQUIRE(ours == (theirs && !intended(&message)));
    if (ours) {
        REQUIRE(is_same(&message, &frame));
        fields_agree(&message, &frame);
    }
}

/* ---- all of them, one after another ---------------------------------------------------------------------------- */

/* What mavgen finds in a stream, we find; we may find more, because we look for a start inside a broken frame. */
static void in_a_row(const uint8_t *stream, uint32_t length) {
    static mav other[EG_KEYS];
    static mavlink_message_t theirs[STREAM_ROOM / 12u];
    uint32_t count = 0u;
    uint32_t next = 0u;
    bool forged = false;
    eg_parser parser = {0};
    mav_start(&other[0], EG_HOST_KEY);
    mav_start(&other[1], EG_OPERATOR_KEY);
    for (uint32_t i = 0u; i < length; i++) {
        for (uint32_t k = 0u; k < EG_KEYS; k++) {
            mavlink_message_t *found = &theirs[count];
            const bool good = mav_push(&other[k], stream[i], found) && (key_of(found->signature[0]) == k);
            count += (good && !intended(found)) ? 1u : 0u;
        }
    }
    for (uint32_t i = 0u; i < length + EG_FRAME_MAX; i++) {
        eg_parser_push(&parser, (i < length) ? stream[i] : 0u);
        eg_frame frame;
        for (eg_parsed p = eg_parser_next(&parser, &FUZZ_KEYS, &frame); p != EG_MORE;
             p = eg_parser_next(&parser, &FUZZ_KEYS, &frame)) {
            forged = forged || (p == EG_BAD_SIGNATURE);
            if ((p == EG_FRAME) && (next < count) && is_same(&theirs[next], &frame)) {
                next++;
            }
        }
    }
    REQUIRE((next == count) || forged); /* a frame with a good checksum and a bad signature is passed over whole */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t stream[STREAM_ROOM];
    uint32_t used = 0u;
    input in = {data, data + size};
    while ((in.at != in.end) && (used + RAW_ROOM < STREAM_ROOM)) {
        const uint8_t op = take8(&in);
        if (op < 0x40u) { /* that many raw bytes between the frames */
            take_bytes(&in, &stream[used], op);
            used += op;
        } else {
            uint8_t raw[RAW_ROOM];
            uint32_t total = make(&in, raw);
            alone(raw, total);
            if (op < 0x60u) { /* cut short */
                total = take8(&in) % total;
            }
            memcpy(&stream[used], raw, total);
            used += total;
        }
    }
    in_a_row(stream, used);
    return 0;
}
