/* The safety microcontroller's decision: see eg_core.h for the rules.
 * Reads top to bottom: soundness, input, deadlines, slew, report. Every branch's default is less authority.
 * No hardware, no allocation, no recursion, no parsing, no clock. */
#include "eg_core.h"

static int32_t clamp(int32_t value, int32_t low, int32_t high) {
    if (value < low) {
        return low;
    }
    return (value > high) ? high : value;
}

static uint64_t since(uint64_t then_us, uint64_t now_us) {
    return (now_us > then_us) ? (now_us - then_us) : 0u;
}

/* ---- soundness ------------------------------------------------------------------------------------------------- */

static bool table_is_sound(const eg_table *table) {
    bool sound = (table->arm_commands > 0u) && (table->degraded_us > 0u) && (table->lost_us >= table->degraded_us);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_actuator *a = &table->actuator[i];
        sound = sound && (a->min <= a->safe) && (a->safe <= a->max) && (a->rise > 0) && (a->fall > 0);
    }
    return sound;
}

static bool state_is_sound(const eg_table *table, const eg_state *state) {
    bool sound = (state->mode <= (uint8_t)EG_LOCKOUT);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_channel *c = &state->channel[i];
        sound = sound && (c->output >= table->actuator[i].min) && (c->output <= table->actuator[i].max);
    }
    return sound;
}

static void forget_commands(eg_state *state) {
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        state->channel[i].in_time = 0u;
    }
}

void eg_lock(eg_state *state, eg_reason reason) {
    state->mode = (uint8_t)EG_LOCKOUT;
    state->reason = (uint8_t)reason;
    forget_commands(state);
}

void eg_init(const eg_table *table, eg_state *state, uint64_t now_us) {
    *state = (eg_state){.slewed_us = now_us, .mode = (uint8_t)EG_SILENT, .reason = (uint8_t)EG_BOOTED};
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        state->channel[i].output = table->actuator[i].safe;
        state->channel[i].target = table->actuator[i].safe;
        state->channel[i].source = (uint8_t)EG_SAFE_STATE;
    }
    if (!table_is_sound(table)) {
        eg_lock(state, EG_TABLE_INVALID);
    }
}

/* ---- input ----------------------------------------------------------------------------------------------------- */

/* The fallback latches: only an arm request leaves it. */
static void fall_back(eg_state *state, eg_reason reason) {
    if (state->mode == (uint8_t)EG_ENABLED) {
        state->mode = (uint8_t)EG_FALLBACK_ONLY;
        state->reason = (uint8_t)reason;
    }
    forget_commands(state);
}

static bool is_ready(const eg_table *table, const eg_state *state, uint64_t now_us) {
    bool ready = state->session && (state->mode != (uint8_t)EG_LOCKOUT);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_channel *c = &state->channel[i];
        ready = ready && (c->in_time >= table->arm_commands) && (since(c->heard_us, now_us) <= table->degraded_us);
    }
    return ready;
}

static eg_refusal take_command(const eg_table *table, eg_state *state, const eg_inputs *in, uint64_t now_us) {
    if (in->actuator >= EG_ACTUATORS) {
        return EG_NO_SUCH_ACTUATOR;
    }
    const eg_actuator *limits = &table->actuator[in->actuator];
    eg_channel *c = &state->channel[in->actuator];
    const bool in_time = since(c->heard_us, now_us) <= table->degraded_us;
    if (!in_time) {
        c->in_time = 0u;
    }
    if (c->in_time < table->arm_commands) {
        c->in_time = (uint8_t)(c->in_time + 1u);
    }
    /* A source that declares the safe state gets the table's value, whatever else it says. */
    const int32_t wanted = (in->source == (uint8_t)EG_SAFE_STATE) ? limits->safe : in->value;
    c->target = clamp(wanted, limits->min, limits->max);
    c->source = in->source;
    c->heard_us = now_us;
    return EG_ACCEPTED;
}

static eg_refusal take_arm(const eg_table *table, eg_state *state, const eg_inputs *in, uint64_t now_us) {
    if (in->source != (uint8_t)EG_HUMAN) {
        return EG_NOT_THE_OPERATOR;
    }
    if (!is_ready(table, state, now_us)) {
        return EG_NOT_READY;
    }
    state->mode = (uint8_t)EG_ENABLED;
    state->reason = (uint8_t)EG_ARMED;
    return EG_ACCEPTED;
}

/* What must hold of every input from the host, whatever it asks for. */
static eg_refusal check_input(const eg_table *table, const eg_state *state, const eg_inputs *in) {
    if (state->mode == (uint8_t)EG_LOCKOUT) {
        return EG_LOCKED_OUT;
    }
    if (!state->session) {
        return EG_NO_SESSION;
    }
    if (in->policy_hash != table->policy_hash) {
        return EG_NOT_THE_POLICY;
    }
    if ((in->age_ms > in->valid_ms) || (in->age_ms > table->valid_max_ms)) {
        return EG_TOO_OLD;
    }
    if (in->source > (uint8_t)EG_SAFE_STATE) {
        return EG_NO_SUCH_SOURCE;
    }
    return EG_ACCEPTED;
}

static eg_refusal take_request(const eg_table *table, eg_state *state, const eg_inputs *in, uint64_t now_us) {
    const eg_refusal refusal = check_input(table, state, in);
    if (refusal == EG_NOT_THE_POLICY) {
        fall_back(state, EG_POLICY_MISMATCH);
    }
    if (refusal != EG_ACCEPTED) {
        forget_commands(state); /* "consecutive" means: without a refused one in between */
        return refusal;
    }
    switch (in->action) {
        case EG_SET:
            return take_command(table, state, in, now_us);
        case EG_ARM:
            return take_arm(table, state, in, now_us);
        case EG_DISARM:
            fall_back(state, EG_DISARMED);
            return EG_ACCEPTED;
        default:
            return EG_NO_SUCH_ACTION;
    }
}

static eg_refusal take_input(const eg_table *table, eg_state *state, const eg_inputs *in, uint64_t now_us) {
    if (in->action == (uint8_t)EG_NOTHING) {
        return EG_ACCEPTED;
    }
    if (in->action == (uint8_t)EG_OPENED) {
        state->session = true;
        fall_back(state, EG_SESSION_REPLACED);
        return EG_ACCEPTED;
    }
    return take_request(table, state, in, now_us);
}

/* ---- deadlines and outputs ------------------------------------------------------------------------------------- */

static bool silent_for(const eg_state *state, uint32_t span_us, uint64_t now_us) {
    bool silent = false;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        silent = silent || (since(state->channel[i].heard_us, now_us) > span_us);
    }
    return silent;
}

static int64_t budget(int32_t rate, uint64_t span_us) {
    if (rate == EG_NO_LIMIT) {
        return (int64_t)UINT32_MAX; /* farther than any two int32 lie apart */
    }
    return ((int64_t)rate * (int64_t)span_us) / 1000000;
}

static int32_t moved(const eg_actuator *limits, int32_t from, int32_t goal, uint64_t span_us) {
    const int64_t want = (int64_t)goal - (int64_t)from;
    const int64_t up = budget(limits->rise, span_us);
    const int64_t down = budget(limits->fall, span_us);
    int64_t step = want;
    if (want > up) {
        step = up;
    } else if (want < -down) {
        step = -down;
    }
    return clamp((int32_t)((int64_t)from + step), limits->min, limits->max);
}

static void slew(const eg_table *table, eg_state *state, uint64_t now_us) {
    uint64_t span_us = since(state->slewed_us, now_us);
    if (span_us < EG_SLEW_GRAIN_US) {
        return;
    }
    if (span_us > EG_SLEW_SPAN_MAX_US) {
        span_us = EG_SLEW_SPAN_MAX_US;
    }
    state->slewed_us = now_us;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_actuator *limits = &table->actuator[i];
        eg_channel *c = &state->channel[i];
        const int32_t goal = (state->mode == (uint8_t)EG_ENABLED) ? c->target : limits->safe;
        c->output = moved(limits, c->output, goal, span_us);
    }
}

static eg_outputs report(const eg_table *table, const eg_state *state, eg_refusal refusal, uint64_t now_us) {
    const bool enabled = state->mode == (uint8_t)EG_ENABLED;
    eg_outputs out = {.mode = state->mode,
                      .reason = state->reason,
                      .source = enabled ? (uint8_t)EG_MODEL : (uint8_t)EG_SAFE_STATE,
                      .refusal = (uint8_t)refusal,
                      .degraded = enabled && silent_for(state, table->degraded_us, now_us),
                      .ready = is_ready(table, state, now_us)};
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        out.value[i] = state->channel[i].output;
        if (enabled && (state->channel[i].source > out.source)) {
            out.source = state->channel[i].source;
        }
    }
    return out;
}

eg_outputs eg_step(const eg_table *table, eg_state *state, const eg_inputs *inputs, uint64_t now_us) {
    if (!state_is_sound(table, state)) {
        eg_init(table, state, now_us); /* whatever it holds is not to be acted on */
        eg_lock(state, EG_STATE_INVALID);
    }
    /* Deadlines first: a command that comes after its deadline does not save the day. */
    if ((state->mode == (uint8_t)EG_ENABLED) && silent_for(state, table->lost_us, now_us)) {
        fall_back(state, EG_HOST_LOST);
    }
    const eg_refusal refusal = take_input(table, state, inputs, now_us);
    slew(table, state, now_us);
    return report(table, state, refusal, now_us);
}
