/* The safety microcontroller's decision: see eg_core.h for the rules, eg_envelope.h for the outputs.
 * Reads top to bottom: soundness, start, what takes authority away, requests, report. Every branch's default is less
 * authority. No hardware, no allocation, no recursion, no parsing, no clock. */
#include "eg_core.h"

#include <stddef.h>

#include "eg_envelope.h"
#include "eg_retained.h"

static uint64_t since(uint64_t then_us, uint64_t now_us) {
    return (now_us > then_us) ? (now_us - then_us) : 0u;
}

/* ---- soundness ------------------------------------------------------------------------------------------------- */

static bool actuators_are_sound(const eg_table *table) {
    bool sound = true;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_actuator *a = &table->actuator[i];
        sound = sound && (a->min <= a->safe) && (a->safe <= a->max) && (a->rise > 0) && (a->fall > 0) &&
                (a->lead >= 0) && (a->authority <= (uint8_t)EG_SAFE_STATE);
    }
    return sound;
}

static bool rule_is_sound(const eg_table *table, const eg_rule *rule) {
    bool sound = (rule->terms <= EG_TERMS_ROOM);
    for (uint32_t i = 0u; sound && (i < rule->terms); i++) {
        sound = (rule->term[i].sensor < table->sensors) && (rule->term[i].relation <= (uint8_t)EG_AT_MOST);
    }
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        sound = sound && (rule->value[i] >= table->actuator[i].min) && (rule->value[i] <= table->actuator[i].max);
    }
    return sound;
}

static bool table_is_sound(const eg_table *table) {
    bool sound = (table->arm_commands > 0u) && (table->degraded_us > 0u) && (table->lost_us >= table->degraded_us) &&
                 (table->stop <= 1u) && (table->sensors <= EG_SENSORS_ROOM) && (table->rules <= EG_RULES_ROOM) && actuators_are_sound(table);
    for (uint32_t i = 0u; sound && (i < table->rules); i++) {
        sound = rule_is_sound(table, &table->rule[i]);
    }
    return sound;
}

static bool channel_is_sound(const eg_table *table, const eg_actuator *limits, const eg_channel *c, uint64_t until_us) {
    bool sound = (c->heard_us <= until_us) && (c->source <= (uint8_t)EG_SAFE_STATE) &&
                 (c->in_time <= table->arm_commands) && (c->output >= limits->min) && (c->output <= limits->max) &&
                 (c->target >= limits->min) && (c->target <= limits->max);
    for (uint32_t i = 0u; i < sizeof c->spare; i++) {
        sound = sound && (c->spare[i] == 0u);
    }
    return sound;
}

/* What a step left, seen at the next: anything else was written by a fault. */
static bool state_is_sound(const eg_table *table, const eg_state *state, uint64_t now_us) {
    const bool enabled = state->mode == (uint8_t)EG_ENABLED;
    bool sound = (state->stepped_us <= now_us) && (state->slewed_us <= state->stepped_us) &&
                 (state->mode <= (uint8_t)EG_LOCKOUT) && (state->reason <= (uint8_t)EG_RESET) &&
                 (state->latches <= EG_LATCHES) && (state->session <= 1u) &&
                 (!enabled || ((state->latches == 0u) && (state->session == 1u)));
    for (uint32_t i = 0u; i < sizeof state->spare; i++) {
        sound = sound && (state->spare[i] == 0u);
    }
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        sound = sound && channel_is_sound(table, &table->actuator[i], &state->channel[i], state->stepped_us);
    }
    return sound;
}

/* ---- start ----------------------------------------------------------------------------------------------------- */

static void forget_commands(eg_state *state) {
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        state->channel[i].in_time = 0u;
    }
}

void eg_lock(eg_state *state, eg_reason reason, uint8_t latches) {
    state->mode = (uint8_t)EG_LOCKOUT;
    state->reason = (uint8_t)reason;
    state->latches |= latches;
    forget_commands(state);
}

static void start(const eg_table *table, eg_state *state, uint64_t now_us) {
    *state = (eg_state){.stepped_us = now_us, .slewed_us = now_us, .mode = (uint8_t)EG_SILENT};
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        eg_channel *c = &state->channel[i];
        c->output = table->actuator[i].safe;
        c->target = table->actuator[i].safe;
        c->source = (uint8_t)EG_SAFE_STATE;
    }
}

void eg_init(const eg_table *table, eg_state *state, const eg_retained *retained, uint64_t now_us) {
    start(table, state, now_us);
    const eg_record *before = (retained == NULL) ? NULL : eg_latest(retained);
    if (before != NULL) {
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            const eg_actuator *limits = &table->actuator[i];
            state->channel[i].output = eg_clamp(before->output[i], limits->min, limits->max);
        }
        state->latches = before->latches & EG_LATCHES;
        if (before->mode == (uint8_t)EG_ENABLED) {
            state->latches |= EG_LATCH_RESET;
            state->reason = (uint8_t)EG_RESET;
        }
    }
    if (!table_is_sound(table)) {
        const uint8_t latches = state->latches; /* not the table's to forget */
        start(table, state, now_us);
        eg_lock(state, EG_TABLE_INVALID, latches);
    }
}

/* Nothing the state holds is to be acted on, but an output that is inside its limits stays where it is: no leap. */
static void recover(const eg_table *table, eg_state *state, uint64_t now_us) {
    const eg_state damaged = *state;
    start(table, state, now_us);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_actuator *limits = &table->actuator[i];
        const int32_t output = damaged.channel[i].output;
        if ((output >= limits->min) && (output <= limits->max)) {
            state->channel[i].output = output;
        }
    }
    eg_lock(state, EG_STATE_INVALID, (uint8_t)((damaged.latches & EG_LATCHES) | EG_LATCH_MEMORY));
}

/* ---- what takes authority away --------------------------------------------------------------------------------- */

/* The fallback holds: only an arm request leaves it. */
static void fall_back(eg_state *state, eg_reason reason) {
    if (state->mode == (uint8_t)EG_ENABLED) {
        state->mode = (uint8_t)EG_FALLBACK_ONLY;
        state->reason = (uint8_t)reason;
    }
    forget_commands(state);
}

static bool is_stopped(const eg_table *table, const eg_senses *senses) {
    return (table->stop == 1u) && (senses->stop_released != 1u);
}

static bool positions_are_usable(const eg_table *table, const eg_senses *senses, uint64_t now_us) {
    bool usable = true;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        usable = usable && eg_position_is_usable(&table->actuator[i], &senses->measured[i], now_us);
    }
    return usable;
}

static bool silent_for(const eg_state *state, uint32_t span_us, uint64_t now_us) {
    bool silent = false;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        silent = silent || (since(state->channel[i].heard_us, now_us) > span_us);
    }
    return silent;
}

/* Before any request is looked at: a command that comes after its deadline does not save the day. */
static void watch(const eg_table *table, eg_state *state, const eg_senses *senses, uint64_t now_us) {
    if (is_stopped(table, senses)) {
        state->latches |= EG_LATCH_STOP;
        fall_back(state, EG_STOPPED);
        if (state->mode == (uint8_t)EG_FALLBACK_ONLY) {
            state->reason = (uint8_t)EG_STOPPED; /* until somebody is armed: releasing the stop starts nothing */
        }
    }
    if ((state->mode == (uint8_t)EG_ENABLED) && !positions_are_usable(table, senses, now_us)) {
        state->latches |= EG_LATCH_FEEDBACK;
        fall_back(state, EG_FEEDBACK_LOST);
    }
    if ((state->mode == (uint8_t)EG_ENABLED) && silent_for(state, table->lost_us, now_us)) {
        fall_back(state, EG_HOST_LOST);
    }
}

/* ---- requests -------------------------------------------------------------------------------------------------- */

static bool is_ready(const eg_table *table, const eg_state *state, const eg_senses *senses, uint64_t now_us) {
    bool ready = (state->session == 1u) && (state->mode != (uint8_t)EG_LOCKOUT) && (state->latches == 0u) &&
                 positions_are_usable(table, senses, now_us);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_channel *c = &state->channel[i];
        ready = ready && (c->in_time >= table->arm_commands) && (since(c->heard_us, now_us) <= table->degraded_us);
    }
    return ready;
}

static eg_refusal take_command(const eg_table *table, eg_state *state, const eg_request *request, uint64_t now_us) {
    if (request->actuator >= EG_ACTUATORS) {
        return EG_NO_SUCH_ACTUATOR;
    }
    const eg_actuator *limits = &table->actuator[request->actuator];
    eg_channel *c = &state->channel[request->actuator];
    if (request->source < limits->authority) {
        return EG_NOT_ALLOWED;
    }
    if (since(c->heard_us, now_us) > table->degraded_us) {
        c->in_time = 0u;
    }
    if (c->in_time < table->arm_commands) {
        c->in_time = (uint8_t)(c->in_time + 1u);
    }
    /* A source that declares the safe state gets the table's value, whatever else it says. */
    const int32_t wanted = (request->source == (uint8_t)EG_SAFE_STATE) ? limits->safe : request->value;
    c->target = eg_clamp(wanted, limits->min, limits->max);
    c->source = request->source;
    c->heard_us = now_us;
    return EG_ACCEPTED;
}

static bool is_the_operator(const eg_request *request) {
    return (request->by_operator == 1u) && (request->source == (uint8_t)EG_HUMAN);
}

static eg_refusal take_arm(const eg_table *table, eg_state *state, const eg_inputs *in, uint64_t now_us) {
    if (!is_the_operator(&in->request)) {
        return EG_NOT_THE_OPERATOR;
    }
    if (state->latches != 0u) {
        return EG_LATCHED;
    }
    if (!is_ready(table, state, &in->senses, now_us)) {
        return EG_NOT_READY;
    }
    state->mode = (uint8_t)EG_ENABLED;
    state->reason = (uint8_t)EG_ARMED;
    return EG_ACCEPTED;
}

/* Releasing gives nobody authority: arming is a second act. */
static eg_refusal take_release(const eg_table *table, eg_state *state, const eg_inputs *in) {
    if (!is_the_operator(&in->request)) {
        return EG_NOT_THE_OPERATOR;
    }
    if (is_stopped(table, &in->senses)) {
        return EG_STOP_PRESSED;
    }
    state->latches = 0u;
    return EG_ACCEPTED;
}

/* What must hold of every request, whatever it asks for. */
static eg_refusal check_request(const eg_table *table, const eg_state *state, const eg_request *request) {
    if (state->mode == (uint8_t)EG_LOCKOUT) {
        return EG_LOCKED_OUT;
    }
    if (state->session != 1u) {
        return EG_NO_SESSION;
    }
    if (request->policy_hash != table->policy_hash) {
        return EG_NOT_THE_POLICY;
    }
    if ((request->age_ms > request->valid_ms) || (request->age_ms > table->valid_max_ms)) {
        return EG_TOO_OLD;
    }
    if (request->source > (uint8_t)EG_SAFE_STATE) {
        return EG_NO_SUCH_SOURCE;
    }
    return EG_ACCEPTED;
}

static eg_refusal take_checked(const eg_table *table, eg_state *state, const eg_inputs *in, uint64_t now_us) {
    const eg_refusal refusal = check_request(table, state, &in->request);
    if (refusal == EG_NOT_THE_POLICY) {
        fall_back(state, EG_POLICY_MISMATCH);
    }
    if (refusal != EG_ACCEPTED) {
        forget_commands(state); /* "consecutive" means: without a refused one in between */
        return refusal;
    }
    switch (in->request.action) {
        case EG_SET:
            return take_command(table, state, &in->request, now_us);
        case EG_ARM:
            return take_arm(table, state, in, now_us);
        case EG_RELEASE:
            return take_release(table, state, in);
        case EG_DISARM:
            fall_back(state, EG_DISARMED);
            return EG_ACCEPTED;
        default:
            return EG_NO_SUCH_ACTION;
    }
}

static eg_refusal take_request(const eg_table *table, eg_state *state, const eg_inputs *in, uint64_t now_us) {
    if (in->request.action == (uint8_t)EG_NOTHING) {
        return EG_ACCEPTED;
    }
    if (in->request.action == (uint8_t)EG_OPENED) {
        state->session = 1u;
        fall_back(state, EG_SESSION_REPLACED);
        return EG_ACCEPTED;
    }
    return take_checked(table, state, in, now_us);
}

/* ---- report ---------------------------------------------------------------------------------------------------- */

static eg_outputs report(const eg_table *table, const eg_state *state, const eg_senses *senses, eg_refusal refusal,
                         uint64_t now_us) {
    const bool enabled = state->mode == (uint8_t)EG_ENABLED;
    const bool degraded = enabled && silent_for(state, table->degraded_us, now_us);
    eg_outputs out = {.mode = state->mode,
                      .reason = state->reason,
                      .source = enabled ? (uint8_t)EG_MODEL : (uint8_t)EG_SAFE_STATE,
                      .refusal = (uint8_t)refusal,
                      .latches = state->latches,
                      .degraded = degraded ? 1u : 0u,
                      .ready = is_ready(table, state, senses, now_us) ? 1u : 0u,
                      .stopped = is_stopped(table, senses) ? 1u : 0u};
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        out.value[i] = state->channel[i].output;
        if (enabled && (state->channel[i].source > out.source)) {
            out.source = state->channel[i].source;
        }
    }
    return out;
}

eg_outputs eg_step(const eg_table *table, eg_state *state, const eg_inputs *inputs, uint64_t now_us) {
    if (!state_is_sound(table, state, now_us)) {
        recover(table, state, now_us);
    }
    state->stepped_us = now_us;
    watch(table, state, &inputs->senses, now_us);
    const eg_refusal refusal = take_request(table, state, inputs, now_us);
    eg_slew(table, state, &inputs->senses, now_us);
    return report(table, state, &inputs->senses, refusal, now_us);
}
