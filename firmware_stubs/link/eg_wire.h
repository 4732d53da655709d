/* MAVLink 2 framing of the private dialect in edgeguard.xml: bytes to signed frames and back, in fixed buffers.
 * Knows lengths, checksums and signatures; knows nothing of sessions, freshness or what a message means.
 * An unsigned, unknown, over-long or wrongly sized frame never leaves the parser. */
#ifndef EG_WIRE_H
#define EG_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EG_KEY_SIZE 32u
#define EG_KEYS 2u /* one a sender: the host's, and the operator's */
#define EG_HOST_KEY 0u
#define EG_OPERATOR_KEY 1u
#define EG_PAYLOAD_MAX 39u /* so that the longest frame is one CAN FD frame */
#define EG_FRAME_MAX 64u
#define EG_HEADER 10u
#define EG_TRAILER 15u /* checksum 2, link id 1, time 6, signature 6 */

#define EG_HELLO 52000u
#define EG_OPEN 52001u
#define EG_COMMAND 52002u
#define EG_STATUS 52003u
#define EG_OFFER 52004u

#define EG_HELLO_SIZE 36u
#define EG_OPEN_SIZE 34u
#define EG_COMMAND_SIZE 32u
#define EG_STATUS_SIZE 39u
#define EG_OFFER_SIZE 20u

#define EG_SYSTEM_HOST 255u
#define EG_SYSTEM_MCU 1u
#define EG_COMPONENT 1u
#define EG_LINK_TO_MCU 0u /* the link says who signs: 0 and 1 with the host's key, 2 and 3 with the operator's */
#define EG_LINK_TO_HOST 1u
#define EG_LINK_FROM_OPERATOR 2u
#define EG_LINK_TO_OPERATOR 3u
#define EG_FLAG_ALWAYS 0x80u

typedef struct {
    uint8_t key[EG_KEYS][EG_KEY_SIZE];
} eg_keys;

typedef struct {
    uint32_t message;
    uint8_t system;
    uint8_t component;
    uint8_t link;
    uint8_t length;
    uint8_t payload[EG_PAYLOAD_MAX];
} eg_frame;

typedef struct {
    uint8_t buffer[EG_FRAME_MAX];
    uint8_t used;
} eg_parser;

typedef enum { EG_MORE, EG_FRAME, EG_BAD_CHECKSUM, EG_BAD_SIGNATURE } eg_parsed;

/* CRC-16/MCRF4XX, which MAVLink calls X25: reflected 0x1021, start 0xFFFF, no final exclusive-or. */
uint16_t eg_crc(uint16_t crc, const uint8_t *data, size_t length);

/* Adds one byte. Call eg_parser_next until it says EG_MORE before the next byte. */
void eg_parser_push(eg_parser *parser, uint8_t byte);
eg_parsed eg_parser_next(eg_parser *parser, const eg_keys *keys, eg_frame *frame);

/* Writes the signed frame; returns its length, 0 for what is no message of the dialect. `stamp` is in 10 us; only its low
 * 48 bits travel. `frame->link` chooses the key. */
size_t eg_pack(const eg_frame *frame, uint8_t sequence, uint64_t stamp, const eg_keys *keys,
               uint8_t out[EG_FRAME_MAX]);

/* Whether two byte strings are the same, in a time that does not tell where they differ. */
bool eg_equal(const uint8_t *a, const uint8_t *b, uint32_t length);

uint64_t eg_load(const uint8_t *at, uint32_t bytes); /* little-endian, 1..8 bytes */
void eg_store(uint8_t *at, uint32_t bytes, uint64_t value);

#endif
