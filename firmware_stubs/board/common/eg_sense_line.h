/* Measurements as records on a UART, for boards under emulation: it stands for converters and pins. Never on a product:
 * who has this line has the sensors. Eight bytes: 0xA5, kind and index, flags, value (little-endian), check.
 * The format is in board/README.md; a record with a wrong check is lost, and the next start byte looked for. */
#ifndef EG_SENSE_LINE_H
#define EG_SENSE_LINE_H

#include "eg_core.h"
#include "eg_ring.h"

#define EG_SENSE_SIZE 8u
#define EG_SENSE_START 0xA5u
#define EG_SENSE_VALID 0x01u

typedef enum { EG_SENSE_MEASURED = 1, EG_SENSE_SENSOR = 2, EG_SENSE_STOP = 3 } eg_sense_kind;

typedef struct {
    uint8_t buffer[EG_SENSE_SIZE];
    uint32_t used;
} eg_sense_line;

/* Enters the whole records that came, as measured now, of at most 64 bytes at a time. What the emergency stop's contact
 * said last stays so over a reset, as the level of a pin would, and is open until a first record says otherwise. */
void eg_sense_take(eg_sense_line *line, eg_ring *received, eg_senses *senses, uint64_t now_us);

#endif
