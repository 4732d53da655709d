/* Sense records into the board's senses: see eg_sense_line.h. Checks only that a record is whole and names something
 * that is there; whether a reading may be used is decided in core/. */
#include "eg_sense_line.h"

#define CHECK 7u /* where the check byte is */
#define CHUNK 64u /* bytes in a step, more than come in one: a line that is flooded must not stretch a deadline */
#define CONTACT_CLOSED 0x5AC30F96u
#define CONTACT_OPEN 0u

/* Stands for the level of a pin, which no reset of the core changes. Whatever is no CONTACT_CLOSED is open.
 * Its own section, so that it lies where a rig finds it: first of what survives a reset. */
__attribute__((section(".contact"))) static uint32_t contact;

/* CRC-8, polynomial 0x07, start 0xFF: all bytes 0 do not pass. */
static uint8_t check_of(const uint8_t *data) {
    uint32_t crc = 0xFFu;
    for (uint32_t i = 0u; i < CHECK; i++) {
        crc ^= data[i];
        for (uint32_t bit = 0u; bit < 8u; bit++) {
            crc = ((crc & 0x80u) != 0u) ? (((crc << 1) ^ 0x07u) & 0xFFu) : (crc << 1);
        }
    }
    return (uint8_t)crc;
}

static void enter(const uint8_t *raw, eg_senses *senses, uint64_t now_us) {
    const uint32_t kind = (uint32_t)raw[1] >> 4;
    const uint32_t index = raw[1] & 0x0Fu;
    const uint32_t value =
        (uint32_t)raw[3] | ((uint32_t)raw[4] << 8) | ((uint32_t)raw[5] << 16) | ((uint32_t)raw[6] << 24);
    const eg_reading reading = {.at_us = now_us,
                                .value = (int32_t)value,
                                .valid = ((raw[2] & EG_SENSE_VALID) != 0u) ? 1u : 0u};
    if ((kind == (uint32_t)EG_SENSE_MEASURED) && (index < EG_ACTUATORS)) {
        senses->measured[index] = reading;
    } else if ((kind == (uint32_t)EG_SENSE_SENSOR) && (index < EG_SENSORS_ROOM)) {
        senses->sensor[index] = reading;
    } else if (kind == (uint32_t)EG_SENSE_STOP) {
        senses->stop_released = ((reading.valid == 1u) && (reading.value == 1)) ? 1u : 0u;
    } else {
        /* a record of something that is not there */
    }
}

static void drop_one(eg_sense_line *line) {
    line->used--;
    for (uint32_t i = 0u; i < line->used; i++) {
        line->buffer[i] = line->buffer[i + 1u];
    }
}

static void take(eg_sense_line *line, uint8_t byte, eg_senses *senses, uint64_t now_us) {
    line->buffer[line->used] = byte;
    line->used++;
    if ((line->used == EG_SENSE_SIZE) && (line->buffer[CHECK] == check_of(line->buffer))) {
        enter(line->buffer, senses, now_us);
        line->used = 0u;
    }
    while ((line->used > 0u) && ((line->buffer[0] != EG_SENSE_START) || (line->used == EG_SENSE_SIZE))) {
        drop_one(line);
    }
}

void eg_sense_take(eg_sense_line *line, eg_ring *received, eg_senses *senses, uint64_t now_us) {
    uint8_t byte;
    senses->stop_released = (contact == CONTACT_CLOSED) ? 1u : 0u;
    for (uint32_t taken = 0u; (taken < CHUNK) && eg_ring_pop(received, &byte); taken++) {
        take(line, byte, senses, now_us);
    }
    contact = (senses->stop_released == 1u) ? CONTACT_CLOSED : CONTACT_OPEN;
}
