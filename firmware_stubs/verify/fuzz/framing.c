/* Framing: arbitrary bytes, broken frames and signed frames in any order into eg_parser.
 * Claims: the buffer is never exceeded; only what was signed comes out, unchanged and in order; a signed frame behind
 * any rubbish is found, unless a frame with a good checksum overlapped it. */
#include <string.h>

#include "fuzz.h"

#define ISSUED_ROOM 512u

static eg_frame issued[ISSUED_ROOM];
static uint32_t issued_count;
static uint32_t next_out; /* the first of `issued` that may still come out */
static uint32_t came_out;
static uint32_t forged;   /* bad signatures seen */
static eg_parser parser;

static bool is_same(const eg_frame *a, const eg_frame *b) {
    return (a->message == b->message) && (a->system == b->system) && (a->component == b->component) &&
           (a->link == b->link) && (a->length == b->length) && (memcmp(a->payload, b->payload, a->length) == 0);
}

static void receive(uint8_t byte) {
    eg_frame frame;
    memset(&frame, 0xA5, sizeof frame);
    eg_parser_push(&parser, byte);
    for (uint32_t turns = 0u;; turns++) {
        const eg_parsed parsed = eg_parser_next(&parser, &FUZZ_KEYS, &frame);
        REQUIRE(parser.used < EG_FRAME_MAX);
        REQUIRE(turns <= EG_FRAME_MAX);
        if (parsed == EG_MORE) {
            return;
        }
        if (parsed == EG_BAD_SIGNATURE) {
            forged++;
        }
        if (parsed == EG_FRAME) {
            REQUIRE(frame.length == size_of(frame.message));
            REQUIRE(frame.link <= EG_LINK_TO_OPERATOR);
            while ((next_out < issued_count) && !is_same(&issued[next_out], &frame)) {
                next_out++;
            }
            REQUIRE(next_out < issued_count); /* else it was never signed, or came twice */
            next_out++;
            came_out++;
        }
    }
}

static size_t sign_one(input *in, uint8_t out[EG_FRAME_MAX]) {
    eg_frame *frame = &issued[issued_count];
    const uint8_t kind = take8(in);
    *frame = (eg_frame){.message = EG_HELLO + (kind % 5u)};
    frame->system = take8(in);
    frame->component = take8(in);
    frame->link = (kind >> 4) % 4u;
    frame->length = size_of(frame->message);
    take_bytes(in, frame->payload, frame->length);
    const uint8_t sequence = take8(in);
    const uint64_t stamp = (uint64_t)take32(in) << 16;
    return eg_pack(frame, sequence, stamp | take8(in), &FUZZ_KEYS, out);
}

/* A frame that was signed, and then changed: must not come out. Or cut: may, when what follows happens to complete it. */
static void send_broken(input *in) {
    uint8_t raw[EG_FRAME_MAX];
    const uint8_t how = take8(in);
    const size_t length = sign_one(in, raw); /* not counted as issued */
    const size_t place = take8(in) % length;
    const uint8_t change = take8(in);
    if ((how % 3u) == 0u) { /* a change that keeps the checksum right: the signature alone protects */
        raw[place] ^= change;
        const uint32_t payload = (uint32_t)length - EG_HEADER - EG_TRAILER;
        static const uint8_t EXTRA[] = {120u, 71u, 121u, 108u, 230u};
        const uint32_t message = (uint32_t)eg_load(&raw[7], 3u);
        const uint8_t extra = ((message >= EG_HELLO) && (message <= EG_OFFER)) ? EXTRA[message - EG_HELLO] : 0u;
        const uint16_t crc = eg_crc(eg_crc(0xFFFFu, &raw[1], EG_HEADER - 1u + payload), &extra, 1u);
        if ((place >= EG_HEADER + payload) && (place < EG_HEADER + payload + 2u)) {
            return; /* mending the checksum would undo the change */
        }
        eg_store(&raw[EG_HEADER + payload], 2u, crc);
        if (change == 0u) {
            return;
        }
    } else if ((how % 3u) == 1u) {
        raw[place] ^= (uint8_t)(change | 1u);
    }
    const size_t until = ((how % 3u) == 2u) ? place : length;
    issued_count += ((how % 3u) == 2u) ? 1u : 0u;
    for (size_t i = 0u; i < until; i++) {
        receive(raw[i]);
    }
}

static void send_signed(input *in) {
    uint8_t raw[EG_FRAME_MAX];
    const size_t length = sign_one(in, raw);
    issued_count++;
    for (size_t i = 0u; i < length; i++) {
        receive(raw[i]);
    }
}

/* The last word: a signed frame, and silence. */
static void resynchronises(void) {
    uint8_t raw[EG_FRAME_MAX];
    eg_frame *last = &issued[issued_count];
    *last = (eg_frame){.message = EG_COMMAND, .system = EG_SYSTEM_HOST, .length = EG_COMMAND_SIZE};
    memset(last->payload, 0x11, EG_COMMAND_SIZE);
    const size_t length = eg_pack(last, 0u, 0u, &FUZZ_KEYS, raw);
    issued_count++;
    const uint32_t before = forged + came_out;
    for (size_t i = 0u; i < length; i++) {
        receive(raw[i]);
    }
    for (uint32_t i = 0u; i < EG_FRAME_MAX; i++) {
        receive(0u);
    }
    /* A cut frame whose last byte was to be a start byte takes that of the next: with a good signature it comes out. */
    REQUIRE((next_out == issued_count) || (forged + came_out != before));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    parser = (eg_parser){0};
    issued_count = next_out = came_out = forged = 0u;
    while ((in.at != in.end) && (issued_count < ISSUED_ROOM - 2u)) {
        const uint8_t op = take8(&in);
        if (op < 0x80u) { /* that many raw bytes */
            for (uint32_t i = 0u; (i < op) && (in.at != in.end); i++) {
                receive(take8(&in));
            }
        } else if (op < 0xC0u) {
            send_signed(&in);
        } else {
            send_broken(&in);
        }
    }
    resynchronises();
    return 0;
}
