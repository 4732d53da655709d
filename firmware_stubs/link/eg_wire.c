/* MAVLink 2 framing: see eg_wire.h. A bad byte costs at most the frame it sits in: after a bad checksum the parser
 * looks for the next start byte inside what it already holds. */
#include "eg_wire.h"

#include "eg_sha256.h"

#define START 0xFDu
#define SIGNED 0x01u /* the only incompatibility flag, and mandatory */
#define SIGNATURE 6u
#define STAMP 6u
#define LINKS 4u

typedef struct {
    uint32_t message;
    uint8_t length;
    uint8_t crc_extra;
} dialect_row;

static const dialect_row DIALECT[] = {
    {EG_HELLO, EG_HELLO_SIZE, 120u},
    {EG_OPEN, EG_OPEN_SIZE, 71u},
    {EG_COMMAND, EG_COMMAND_SIZE, 121u},
    {EG_STATUS, EG_STATUS_SIZE, 108u},
    {EG_OFFER, EG_OFFER_SIZE, 230u},
};

static const dialect_row *find(uint32_t message) {
    for (size_t i = 0u; i < (sizeof(DIALECT) / sizeof(DIALECT[0])); i++) {
        if (DIALECT[i].message == message) {
            return &DIALECT[i];
        }
    }
    return NULL;
}

/* 0 for what is no message of the dialect. */
static uint8_t extra_of(uint32_t message) {
    uint8_t extra = 0u;
    for (size_t i = 0u; i < (sizeof(DIALECT) / sizeof(DIALECT[0])); i++) {
        if (DIALECT[i].message == message) {
            extra = DIALECT[i].crc_extra;
        }
    }
    return extra;
}

uint64_t eg_load(const uint8_t *at, uint32_t bytes) {
    uint64_t value = 0u;
    for (uint32_t i = bytes; i > 0u; i--) {
        value = (value << 8) | at[i - 1u];
    }
    return value;
}

void eg_store(uint8_t *at, uint32_t bytes, uint64_t value) {
    for (uint32_t i = 0u; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8u * i));
    }
}

uint16_t eg_crc(uint16_t crc, const uint8_t *data, size_t length) {
    uint32_t c = crc;
    for (size_t i = 0u; i < length; i++) {
        c ^= data[i];
        for (uint32_t bit = 0u; bit < 8u; bit++) {
            c = ((c & 1u) != 0u) ? ((c >> 1) ^ 0x8408u) : (c >> 1);
        }
    }
    return (uint16_t)c;
}

static uint16_t checksum(const uint8_t *raw, uint32_t length, uint8_t crc_extra) {
    return eg_crc(eg_crc(0xFFFFu, &raw[1], (size_t)EG_HEADER - 1u + length), &crc_extra, 1u);
}

/* The first 6 bytes of SHA-256(key of the link, everything before the signature). */
static void sign(const uint8_t *raw, uint32_t length, const eg_keys *keys, uint8_t out[SIGNATURE]) {
    const uint32_t link = raw[EG_HEADER + length + 2u];
    eg_sha256 hash;
    uint8_t digest[EG_SHA256_SIZE];
    eg_sha256_start(&hash);
    eg_sha256_add(&hash, keys->key[(link / 2u) % EG_KEYS], EG_KEY_SIZE);
    eg_sha256_add(&hash, raw, (size_t)EG_HEADER + length + 2u + 1u + STAMP);
    eg_sha256_end(&hash, digest);
    for (uint32_t i = 0u; i < SIGNATURE; i++) {
        out[i] = digest[i];
    }
}

bool eg_equal(const uint8_t *a, const uint8_t *b, uint32_t length) {
    uint8_t difference = 0u;
    for (uint32_t i = 0u; i < length; i++) {
        difference |= (uint8_t)(a[i] ^ b[i]);
    }
    return difference == 0u;
}

void eg_parser_push(eg_parser *parser, uint8_t byte) {
    if (parser->used < EG_FRAME_MAX) {
        parser->buffer[parser->used] = byte;
        parser->used++;
    }
}

/* Drops `count` bytes, then everything up to the next start byte. */
static void drop(eg_parser *parser, uint32_t count) {
    uint32_t from = count;
    while ((from < parser->used) && (parser->buffer[from] != START)) {
        from++;
    }
    const uint32_t kept = parser->used - from;
    for (uint32_t i = 0u; i < kept; i++) {
        parser->buffer[i] = parser->buffer[from + i];
    }
    parser->used = (uint8_t)kept;
}

/* Whether the bytes so far can still become a frame of the dialect. */
static bool plausible(const eg_parser *p) {
    const uint8_t *raw = p->buffer;
    bool ok = (raw[0] == START);
    ok = ok && ((p->used < 2u) || (raw[1] <= EG_PAYLOAD_MAX));
    ok = ok && ((p->used < 3u) || (raw[2] == SIGNED));
    ok = ok && ((p->used < 4u) || (raw[3] == 0u));
    if (ok && (p->used >= EG_HEADER)) {
        const dialect_row *row = find((uint32_t)eg_load(&raw[7], 3u));
        ok = (row != NULL) && (row->length == raw[1]);
    }
    return ok;
}

static eg_parsed verify(const uint8_t *raw, const eg_keys *keys, eg_frame *frame) {
    const uint32_t length = raw[1];
    const uint8_t *tail = &raw[EG_HEADER + length];
    const uint32_t message = (uint32_t)eg_load(&raw[7], 3u);
    if (checksum(raw, length, extra_of(message)) != (uint16_t)eg_load(tail, 2u)) {
        return EG_BAD_CHECKSUM;
    }
    uint8_t expected[SIGNATURE];
    sign(raw, length, keys, expected);
    if ((tail[2] >= LINKS) || !eg_equal(expected, &tail[3u + STAMP], SIGNATURE)) {
        return EG_BAD_SIGNATURE;
    }
    frame->message = message;
    frame->system = raw[5];
    frame->component = raw[6];
    frame->link = tail[2];
    frame->length = (uint8_t)length;
    for (uint32_t i = 0u; i < length; i++) {
        frame->payload[i] = raw[EG_HEADER + i];
    }
    return EG_FRAME;
}

eg_parsed eg_parser_next(eg_parser *parser, const eg_keys *keys, eg_frame *frame) {
    if (parser->used > EG_FRAME_MAX) {
        parser->used = 0u; /* no byte put it there: damaged memory must not become an index */
    }
    while ((parser->used > 0u) && !plausible(parser)) {
        drop(parser, 1u);
    }
    if (parser->used < EG_HEADER) {
        return EG_MORE;
    }
    const uint32_t total = EG_HEADER + (uint32_t)parser->buffer[1] + EG_TRAILER;
    if (parser->used < total) {
        return EG_MORE;
    }
    const eg_parsed result = verify(parser->buffer, keys, frame);
    drop(parser, (result == EG_BAD_CHECKSUM) ? 1u : total);
    return result;
}

size_t eg_pack(const eg_frame *frame, uint8_t sequence, uint64_t stamp, const eg_keys *keys,
               uint8_t out[EG_FRAME_MAX]) {
    const dialect_row *row = find(frame->message);
    if ((row == NULL) || (row->length != frame->length)) {
        return 0u;
    }
    const uint32_t length = frame->length;
    out[0] = START;
    out[1] = frame->length;
    out[2] = SIGNED;
    out[3] = 0u;
    out[4] = sequence;
    out[5] = frame->system;
    out[6] = frame->component;
    eg_store(&out[7], 3u, frame->message);
    for (uint32_t i = 0u; i < length; i++) {
        out[EG_HEADER + i] = frame->payload[i];
    }
    uint8_t *tail = &out[EG_HEADER + length];
    eg_store(tail, 2u, checksum(out, length, row->crc_extra));
    tail[2] = frame->link;
    eg_store(&tail[3], STAMP, stamp);
    sign(out, length, keys, &tail[3u + STAMP]);
    return (size_t)EG_HEADER + length + EG_TRAILER;
}
