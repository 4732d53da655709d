/* The microcontroller as one value: parser, session, core and what waits to be sent. A board feeds it bytes and time.
 * Authenticates, refuses replays and reflections, measures age; what a request may do is decided in core/ alone.
 * Fixed buffers only; nothing here touches hardware. */
#ifndef EG_DEVICE_H
#define EG_DEVICE_H

#include "eg_pair.h"
#include "eg_wire.h"

#define EG_FIRMWARE 0x00000200u /* 0.2.0 */
#define EG_PROTOCOL 2u
#define EG_SEED_SIZE 16u
#define EG_SEND_BUFFER 2048u

#define EG_HELLO_PERIOD_US 50000u          /* while no session is open */
#define EG_HELLO_PERIOD_SESSION_US 200000u /* so that a host that restarted finds the way back */
#define EG_STATUS_PERIOD_US 20000u
#define EG_OFFER_PERIOD_US 100000u

/* Why the link layer refused an authenticated or broken frame; below 16: eg_refusal of the core. */
typedef enum {
    EG_SIGNATURE_WRONG = 16,
    EG_DIRECTION_WRONG = 17,
    EG_FLAGS_WRONG = 18,
    EG_NONCE_WRONG = 19,
    EG_PROTOCOL_WRONG = 20,
    EG_SESSION_WRONG = 21,
    EG_COUNTER_OLD = 22,
    EG_DATA_ID_WRONG = 23,
    EG_KEY_WRONG = 24 /* an action that whoever holds this key may not ask for */
} eg_link_refusal;

/* Who the device is, in this order in its provisioning page. The seed must never have been used before under these keys:
 * a true random source, or a boot counter in memory that survives resets and losses of power: with an old seed a whole
 * recorded session is taken again. */
typedef struct {
    eg_keys keys;
    uint8_t seed[EG_SEED_SIZE];
} eg_identity;

typedef struct {
    eg_pair pair;
    eg_senses senses;      /* the board's to fill, before each tick */
    eg_outputs outputs;    /* of the first copy */
    eg_outputs again;      /* of the second, complemented */
    eg_retained kept;      /* the board's to copy, after each tick, to memory that survives a reset */
    eg_parser parser;
    uint64_t hello_us;     /* when the next is due */
    uint64_t status_us;
    uint64_t offer_us;
    uint64_t heard_us;     /* when the host's last COMMAND was accepted */
    uint64_t opened;       /* sessions since reset */
    uint32_t heard[EG_KEYS]; /* counter of the last authentic COMMAND of this session, by key */
    uint32_t accepted;     /* counter of the host's last accepted one */
    uint32_t sent;         /* counter of the last STATUS */
    uint32_t send_head;
    uint32_t send_used;
    uint16_t rejected;
    uint16_t crc_errors;
    uint16_t dropped;
    uint8_t nonce[8];
    uint8_t session[8];
    uint8_t sequence;
    uint8_t refusal; /* the last */
    uint8_t given_up; /* not 0: nothing is driven any more, and the watchdog is to end that */
    eg_identity identity;
    uint8_t send[EG_SEND_BUFFER];
} eg_device;

/* What an output stage takes: it must refuse a pair in which `check` is not the complement of `value`. */
typedef struct {
    uint32_t value; /* 1e-6 of the actuator's unit, two's complement */
    uint32_t check;
} eg_drive;

/* After a reset. `retained` is what the last `kept` left, NULL where there is no such memory. `stop_released` as in
 * eg_senses. A release build given a public test key, a key that was never written (one byte over and over), or the same
 * key twice, locks out. */
void eg_device_init(eg_device *device, const eg_identity *identity, const eg_retained *retained, uint8_t stop_released,
                    uint64_t now_us);

/* One received byte. */
void eg_device_receive(eg_device *device, uint8_t byte, uint64_t now_us);

/* Time passed: deadlines, outputs, HELLO, STATUS and OFFER. At least every millisecond. */
void eg_device_tick(eg_device *device, uint64_t now_us);

/* What drives one actuator now: the value from one copy of the core, its complement from the other. */
eg_drive eg_device_drive(const eg_device *device, uint32_t actuator);

/* Moves up to `room` bytes to be sent into `out`; returns how many. */
size_t eg_device_take(eg_device *device, uint8_t *out, size_t room);

#endif
