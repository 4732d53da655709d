/* Readings, local rules, lead and slew: see eg_envelope.h.
 * Reads top to bottom: what is measured, which rule acts, where an output goes, how far it gets now.
 * No hardware, no allocation, no recursion, no parsing, no clock. */
#include "eg_envelope.h"

#include <stddef.h>

#define MICRO 1000000

int32_t eg_clamp(int32_t value, int32_t low, int32_t high) {
    if (value < low) {
        return low;
    }
    return (value > high) ? high : value;
}

/* ---- what is measured ------------------------------------------------------------------------------------------ */

static bool is_usable(const eg_reading *reading, int64_t min, int64_t max, uint32_t max_age_us, uint64_t now_us) {
    const bool fresh = (reading->at_us <= now_us) && ((now_us - reading->at_us) <= max_age_us);
    return (reading->valid == 1u) && fresh && (reading->value >= min) && (reading->value <= max);
}

bool eg_position_is_usable(const eg_actuator *limits, const eg_reading *measured, uint64_t now_us) {
    const int64_t min = (int64_t)limits->min - limits->lead;
    const int64_t max = (int64_t)limits->max + limits->lead;
    return (limits->feedback_age_us == 0u) || is_usable(measured, min, max, limits->feedback_age_us, now_us);
}

/* ---- which local rule acts ------------------------------------------------------------------------------------- */

static bool compares(int32_t value, uint8_t relation, int32_t limit) {
    switch (relation) {
        case EG_ABOVE:
            return value > limit;
        case EG_AT_LEAST:
            return value >= limit;
        case EG_BELOW:
            return value < limit;
        default:
            return value <= limit; /* the table is sound: EG_AT_MOST */
    }
}

static bool holds(const eg_table *table, const eg_rule *rule, const eg_senses *senses, uint64_t now_us) {
    bool all = true;
    for (uint32_t i = 0u; i < rule->terms; i++) {
        const eg_term *term = &rule->term[i];
        const eg_sensor *sensor = &table->sensor[term->sensor];
        const eg_reading *reading = &senses->sensor[term->sensor];
        all = all && is_usable(reading, sensor->min, sensor->max, sensor->max_age_us, now_us) &&
              compares(reading->value, term->relation, term->limit);
    }
    return all;
}

/* NULL: none holds, or the mode leaves the rules no say. After an emergency stop they have none until somebody is armed. */
static const eg_rule *acting(const eg_table *table, const eg_state *state, const eg_senses *senses, uint64_t now_us) {
    if ((state->mode != (uint8_t)EG_FALLBACK_ONLY) || (state->reason == (uint8_t)EG_STOPPED)) {
        return NULL;
    }
    for (uint32_t i = 0u; i < table->rules; i++) {
        if (holds(table, &table->rule[i], senses, now_us)) {
            return &table->rule[i];
        }
    }
    return NULL;
}

/* ---- where an output goes -------------------------------------------------------------------------------------- */

/* While the host acts, no further from where the actuator really is than the policy lets it lead. */
static int32_t led(const eg_actuator *limits, const eg_reading *measured, int32_t target) {
    if (limits->feedback_age_us == 0u) {
        return target;
    }
    /* The position is usable and the target inside min..max: so is what is nearest to it in low..high, and it fits. */
    const int64_t low = (int64_t)measured->value - limits->lead;
    const int64_t high = (int64_t)measured->value + limits->lead;
    int64_t goal = target;
    if (goal < low) {
        goal = low;
    } else if (goal > high) {
        goal = high;
    }
    return (int32_t)goal;
}

/* ---- how far it gets now --------------------------------------------------------------------------------------- */

static int64_t budget(int32_t rate, uint64_t span_us) {
    if (rate == EG_NO_LIMIT) {
        return (int64_t)UINT32_MAX; /* farther than any two int32 lie apart */
    }
    return ((int64_t)rate * (int64_t)span_us) / MICRO;
}

static int32_t moved(const eg_actuator *limits, int32_t from, int32_t goal, uint64_t span_us) {
    const int64_t up = budget(limits->rise, span_us);
    const int64_t down = budget(limits->fall, span_us);
    int64_t step = (int64_t)goal - (int64_t)from;
    if (step > up) {
        step = up;
    } else if (step < -down) {
        step = -down;
    }
    return eg_clamp((int32_t)((int64_t)from + step), limits->min, limits->max);
}

void eg_slew(const eg_table *table, eg_state *state, const eg_senses *senses, uint64_t now_us) {
    uint64_t span_us = now_us - state->slewed_us; /* a sound state: never in the future */
    if (span_us < EG_SLEW_GRAIN_US) {
        return;
    }
    if (span_us > EG_SLEW_SPAN_MAX_US) {
        span_us = EG_SLEW_SPAN_MAX_US;
    }
    state->slewed_us = now_us;
    const eg_rule *rule = acting(table, state, senses, now_us);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_actuator *limits = &table->actuator[i];
        eg_channel *c = &state->channel[i];
        int32_t goal = (rule != NULL) ? rule->value[i] : limits->safe;
        if (state->mode == (uint8_t)EG_ENABLED) {
            goal = led(limits, &senses->measured[i], c->target);
        }
        c->output = moved(limits, c->output, goal, span_us);
    }
}
