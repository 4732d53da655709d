/* What survives a reset: outputs, mode and latches, twice, each record with its own check: see eg_core.h.
 * The records are written in turn, so that a reset in the middle of one leaves the other.
 * The check finds damage, not malice: whoever writes this memory has the microcontroller. */
#include "eg_retained.h"

#include <stddef.h>

#define CHECK_START 2166136261u /* FNV-1a, over words: all-zero memory does not pass */
#define CHECK_PRIME 16777619u

static uint32_t mixed(uint32_t check, uint32_t word) {
    return (check ^ word) * CHECK_PRIME;
}

static uint32_t check_of(uint32_t turn, const int32_t *output, uint8_t mode, uint8_t latches,
                         const uint8_t spare[2]) {
    uint32_t check = mixed(CHECK_START, turn);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        check = mixed(check, (uint32_t)output[i]);
    }
    check = mixed(mixed(check, mode), latches);
    return mixed(mixed(check, spare[0]), spare[1]);
}

static bool is_sound(const eg_record *record) {
    return record->check == check_of(record->turn, record->output, record->mode, record->latches, record->spare);
}

/* Turns are compared modulo 2^32: of two neighbours the later one is less than half the circle ahead. */
static bool is_later(const eg_record *a, const eg_record *b) {
    return (a->turn - b->turn) < 0x80000000u;
}

const eg_record *eg_latest(const eg_retained *retained) {
    const eg_record *a = &retained->record[0];
    const eg_record *b = &retained->record[1];
    if (is_sound(a)) {
        return (is_sound(b) && is_later(b, a)) ? b : a;
    }
    return is_sound(b) ? b : NULL;
}

void eg_retain(const eg_outputs *outputs, const eg_outputs *again, eg_retained *retained) {
    const eg_record *latest = eg_latest(retained);
    const uint32_t turn = (latest == NULL) ? 0u : (latest->turn + 1u);
    eg_record *record = &retained->record[turn % 2u];
    record->turn = turn;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        record->output[i] = outputs->value[i];
    }
    record->mode = outputs->mode;
    record->latches = outputs->latches;
    record->spare[0] = 0u;
    record->spare[1] = 0u;
    record->check = check_of(turn, again->value, again->mode, again->latches, record->spare);
}
