/* The microcontroller as one value: parser, session, core and what waits to be sent. A board feeds it bytes and time.
 * Authenticates, refuses replays and reflections, measures age; what a command may do is decided in core/ alone.
 * Fixed buffers only; nothing here touches hardware. */
#ifndef EG_DEVICE_H
#define EG_DEVICE_H

#include "eg_core.h"
#include "eg_wire.h"

#define EG_FIRMWARE 0x00000100u /* 0.1.0 */
#define EG_PROTOCOL 1u
#define EG_SEED_SIZE 16u
#define EG_SEND_BUFFER 2048u

#define EG_HELLO_PERIOD_US 50000u         /* while no session is open */
#define EG_HELLO_PERIOD_SESSION_US 200000u /* so that a host that restarted finds the way back */
#define EG_STATUS_PERIOD_US 20000u

/* Why the link layer refused an authenticated or broken frame; below 16: eg_refusal of the core. */
typedef enum {
    EG_SIGNATURE_WRONG = 16,
    EG_DIRECTION_WRONG = 17,
    EG_FLAGS_WRONG = 18,
    EG_NONCE_WRONG = 19,
    EG_PROTOCOL_WRONG = 20,
    EG_SESSION_WRONG = 21,
    EG_COUNTER_OLD = 22,
    EG_DATA_ID_WRONG = 23
} eg_link_refusal;

typedef struct {
    const eg_table *table;
    eg_state state;
    eg_outputs outputs;
    eg_parser parser;
    uint64_t hello_us; /* when the next is due */
    uint64_t status_us;
    uint64_t heard_us;     /* when the last COMMAND was accepted */
    uint64_t opened;       /* sessions since reset */
    uint32_t heard;        /* counter of the last authentic COMMAND of this session */
    uint32_t accepted;     /* counter of the last accepted one */
    uint32_t sent;         /* counter of the last STATUS */
    uint32_t send_head;
    uint32_t send_used;
    uint16_t rejected;
    uint16_t crc_errors;
    uint16_t dropped;
    uint8_t key[EG_KEY_SIZE];
    uint8_t seed[EG_SEED_SIZE];
    uint8_t nonce[8];
    uint8_t session[8];
    uint8_t sequence;
    uint8_t refusal; /* the last */
    uint8_t send[EG_SEND_BUFFER];
} eg_device;

/* After a reset. `seed` must never have been used before under this key: a true random source, or a boot counter in
 * memory that survives resets and losses of power: with an old seed a whole recorded session is taken again. A release build given the public test key locks out. */
void eg_device_init(eg_device *device, const eg_table *table, const uint8_t key[EG_KEY_SIZE],
                    const uint8_t seed[EG_SEED_SIZE], uint64_t now_us);

/* One received byte. */
void eg_device_receive(eg_device *device, uint8_t byte, uint64_t now_us);

/* Time passed: deadlines, outputs, HELLO and STATUS. At least every millisecond. */
void eg_device_tick(eg_device *device, uint64_t now_us);

/* Moves up to `room` bytes to be sent into `out`; returns how many. */
size_t eg_device_take(eg_device *device, uint8_t *out, size_t room);

#endif
