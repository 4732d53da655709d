/* Where the outputs go and how fast: readings, the table's own rules, lead and slew. Part of the core, not an interface.
 * Only eg_core.c moves outputs by it, and has decided the mode before; nothing here changes who acts. */
#ifndef EG_ENVELOPE_H
#define EG_ENVELOPE_H

#include "eg_core.h"

/* `value` moved into low..high, which must be in order. */
int32_t eg_clamp(int32_t value, int32_t low, int32_t high);

/* Whether the actuator's measured position counts now; always so for an actuator that measures none. */
bool eg_position_is_usable(const eg_actuator *limits, const eg_reading *measured, uint64_t now_us);

/* Moves every output towards its goal by no more than its rates allow since the last move. */
void eg_slew(const eg_table *table, eg_state *state, const eg_senses *senses, uint64_t now_us);

#endif
