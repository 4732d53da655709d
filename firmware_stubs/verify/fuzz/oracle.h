/* What must hold of the device after every call, told apart from how the device works it out: a list of the frames that
 * were really signed, and a model of when the host was heard. */
#ifndef EG_ORACLE_H
#define EG_ORACLE_H

#include <stdbool.h>

#include "eg_device.h"

/* One frame that the right key signed. An OPEN has `open` set, and its nonce in `session`. */
typedef struct {
    uint8_t payload[EG_COMMAND_SIZE]; /* of a command: two may differ and have one counter */
    uint8_t session[8];
    uint32_t key;
    uint32_t counter;
    uint32_t echo_ms;
    uint32_t policy_hash;
    int32_t value;
    uint16_t valid_ms;
    uint16_t data_id;
    uint8_t action;
    uint8_t source;
    uint8_t actuator;
    bool open;
    bool used;
} signed_frame;

/* After eg_device_init. `kept`: what the device was given; NULL: nothing. */
void oracle_booted(const eg_device *d, const eg_retained *kept, uint64_t now_us);

/* A frame was signed just now, whether or not it is ever delivered. */
void oracle_signed(const signed_frame *frame);

/* Around every call of the device. `tick`: the call steps the core whatever arrived. */
void oracle_before(const eg_device *d);
void oracle_after(const eg_device *d, uint64_t now_us, bool tick);

#endif
