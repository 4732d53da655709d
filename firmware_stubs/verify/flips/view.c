/* What a rig may see of the machine: see machine.h. Nothing here changes what runs. */
#include "machine.h"

#include <string.h>

static uint32_t move(uint8_t *out, const uint8_t *from, uint32_t *used) {
    const uint32_t moved = *used;
    memcpy(out, from, moved);
    *used = 0u;
    return moved;
}

uint32_t fl_take(fl_machine *m, uint8_t *out) {
    return move(out, m->sent, &m->sent_used);
}

uint32_t fl_take_records(fl_machine *m, uint8_t *out) {
    return move(out, m->records, &m->records_used);
}

uint32_t fl_log(const fl_machine *m, fl_change *out) {
    memcpy(out, m->log, m->log_used * sizeof *out);
    return m->log_used;
}

uint32_t fl_segments(const fl_machine *m, fl_segment *out) {
    memcpy(out, m->segments, m->segments_used * sizeof *out);
    return m->segments_used;
}

uint32_t fl_trace(const fl_machine *m, uint32_t *out) {
    memcpy(out, m->trace, m->traced * sizeof *out);
    return m->traced;
}

int32_t fl_output(const fl_machine *m, uint32_t actuator) {
    return m->board.output[actuator];
}

void fl_facts(const fl_machine *m, fl_facts_row *out) {
    *out = (fl_facts_row){
        .instructions = m->board.instructions,
        .us = fl_now(m) / FL_CYCLES,
        .resets = m->board.resets,
        .faults = m->board.faults,
        .refused = m->board.refused,
        .overruns = m->board.overruns,
        .flipped = m->flipped,
        .flip_pc = m->flip_pc,
        .flip_address = m->flip_address,
        .flip_before = m->flip_before,
        .log_used = m->log_used,
        .segments_used = m->segments_used,
        .traced = m->traced,
        .records_used = m->records_used,
        .fault_pc = m->fault_pc,
        .fault_from = m->fault_from,
        .gaps = m->gaps_made,
    };
}
