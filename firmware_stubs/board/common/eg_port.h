/* What a board port provides: ten functions. The rest of a board is eg_board.c, which calls them.
 * A port moves bytes, tells the time and drives pins; it decides nothing and never waits. */
#ifndef EG_PORT_H
#define EG_PORT_H

#include <stdnoreturn.h>

#include "eg_device.h"

/* A free-running hardware counter as microseconds since the reset, which never goes back. */
uint64_t eg_port_clock_us(void);

/* The two keys, and a seed that was never used before under them. */
const eg_identity *eg_port_identity(void);

/* Memory that a reset leaves as it is; after a loss of power it may hold anything. */
eg_retained *eg_port_retained(void);

/* The next byte from the host, if there is one. */
bool eg_port_receive(uint8_t *byte);

/* Takes as many bytes for the host as there is room for now; returns how many. */
size_t eg_port_send(const uint8_t *data, size_t length);

/* As eg_port_send, for whoever looks on: records of the outputs. A product returns `length` and forgets them. */
size_t eg_port_report(const uint8_t *data, size_t length);

/* Enters what was measured since the last call, and whether the emergency stop's contact is closed now. */
void eg_port_sense(eg_senses *senses, uint64_t now_us);

/* Gives one word of an eg_drive to an actuator's output stage, which takes the value only while the check is its
 * complement. All values come first, then all checks: what one fault sends to the wrong stage fits nothing there. */
typedef enum { EG_DRIVE_VALUE = 0, EG_DRIVE_CHECK = 1 } eg_drive_word;
void eg_port_drive(uint32_t actuator, eg_drive_word which, uint32_t word);

/* Keeps the hardware watchdog quiet for another 200 ms at most. Called only after a sound step. */
void eg_port_feed_watchdog(void);

/* Until a byte came or a millisecond passed; with something `waiting` to be sent, until there may be room for it. */
void eg_port_sleep(bool waiting);

/* Runs the board for ever. The port's `main` has started the hardware, and the watchdog last. */
noreturn void eg_board_run(void);

#endif
