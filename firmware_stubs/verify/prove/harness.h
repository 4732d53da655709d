/* What every proof over the core shares: the table, an arbitrary step of it, and the bounds of a move.
 * Compiled by the prover alone, as one unit with the core: see properties.c. Nothing here runs on a microcontroller.
 * `prove_budget` stands for the core's `budget` at its two uses: any value that the proof `arithmetic` allows it. */
#ifndef PROVE_HARNESS_H
#define PROVE_HARNESS_H

#include <stdint.h>

#define claim(condition, text) __ESBMC_assert(condition, text)
#define given(condition) __ESBMC_assume(condition)

static int64_t prove_budget(int32_t rate, uint64_t span_us);

/* The core itself, in a copy in which its two calls of `budget` are calls of `prove_budget`. */
#include "eg_core.c"
#include "eg_envelope.c"
#include "eg_retained.c"

static const eg_table T = EG_POLICY_TABLE;

int64_t nondet_int64(void);

/* ---- how far an output may move: one arbitrary value a rate and step, the same wherever it is asked for ----------- */

static bool ask_span;
static uint64_t the_span_us; /* what the specification says that a step's span is */
static int64_t allowed[EG_ACTUATORS][2];

static int64_t allowance(int32_t rate) {
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        if (T.actuator[i].rise == rate) {
            return allowed[i][0];
        }
        if (T.actuator[i].fall == rate) {
            return allowed[i][1];
        }
    }
    claim(0, "only rates of the table are asked for");
    return 0;
}

static int64_t prove_budget(int32_t rate, uint64_t span_us) {
    claim(!ask_span || (span_us == the_span_us), "outputs move for the time since they last moved, at most 50 ms");
    return allowance(rate);
}

static int64_t some_allowance(void) {
    const int64_t value = nondet_int64();
    given((value >= 0) && (value <= (int64_t)UINT32_MAX));
    return value;
}

/* ---- an arbitrary step -------------------------------------------------------------------------------------------- */

/* Separate objects, not one: the prover is slow on a state inside another struct. */
static eg_state before;
static eg_state after;
static eg_inputs in;
static uint64_t now_us;
static eg_outputs out;

/* A state as the specification in eg_core.h has it: said here a second time, apart from the core's own check. */
static bool state_keeps_the_rules(const eg_state *s, uint64_t now_us) {
    bool keeps = (s->slewed_us <= s->stepped_us) && (s->stepped_us <= now_us);
    keeps = keeps && (s->mode <= 3u) && (s->reason <= 11u) && ((s->latches & 0xF0u) == 0u) && (s->session <= 1u);
    keeps = keeps && ((s->mode != (uint8_t)EG_ENABLED) || ((s->latches == 0u) && (s->session == 1u)));
    keeps = keeps && (s->spare[0] == 0u) && (s->spare[1] == 0u) && (s->spare[2] == 0u) && (s->spare[3] == 0u);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_channel *c = &s->channel[i];
        keeps = keeps && (T.actuator[i].min <= c->output) && (c->output <= T.actuator[i].max);
        keeps = keeps && (T.actuator[i].min <= c->target) && (c->target <= T.actuator[i].max);
        keeps = keeps && (c->heard_us <= s->stepped_us) && (c->source <= 3u) && (c->in_time <= T.arm_commands);
        for (uint32_t k = 0u; k < 6u; k++) {
            keeps = keeps && (c->spare[k] == 0u);
        }
    }
    return keeps;
}

/* Any memory, any inputs, any time: until `given` says otherwise. */
static void anything(void) {
    eg_state any_state;
    eg_inputs any_inputs;
    uint64_t any_time;
    before = any_state;
    in = any_inputs;
    now_us = any_time;
}

static void take_step(void) {
    const uint64_t elapsed_us = now_us - before.slewed_us;
    the_span_us = (elapsed_us < EG_SLEW_SPAN_MAX_US) ? elapsed_us : EG_SLEW_SPAN_MAX_US;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        allowed[i][0] = some_allowance();
        allowed[i][1] = some_allowance();
    }
    eg_state state = before;
    out = eg_step(&T, &state, &in, now_us);
    after = state;
}

static void any_step(void) {
    anything();
    take_step();
}

static void sound_step(void) {
    anything();
    given(state_keeps_the_rules(&before, now_us));
    take_step();
}

static bool was_enabled(void) {
    return before.mode == (uint8_t)EG_ENABLED;
}

static bool is_enabled(void) {
    return after.mode == (uint8_t)EG_ENABLED;
}

#endif
