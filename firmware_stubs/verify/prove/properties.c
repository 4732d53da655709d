/* What is proved of the core, one function a property: the prover runs the one that PROPERTY names, for one table.
 * Each speaks about one step from an arbitrary state; with `start` they hold, by induction, of every run of the core.
 * Written from eg_core.h and the documentation, not from the core's text. */
#include "harness.h"

/* ---- the specification, said a second time -------------------------------------------------------------------------- */

static bool reading_counts(const eg_reading *r, int64_t low, int64_t high, uint64_t max_age_us, uint64_t now_us) {
    if ((r->valid != 1u) || (r->at_us > now_us)) {
        return false;
    }
    return ((now_us - r->at_us) <= max_age_us) && (low <= r->value) && (r->value <= high);
}

static bool position_counts(uint32_t i) {
    const eg_actuator *a = &T.actuator[i];
    return (a->feedback_age_us == 0u) || reading_counts(&in.senses.measured[i], (int64_t)a->min - a->lead,
                                                        (int64_t)a->max + a->lead, a->feedback_age_us, now_us);
}

static bool is_pressed(void) {
    return (T.stop != 0u) && (in.senses.stop_released != 1u);
}

static bool rule_holds(const eg_rule *rule) {
    for (uint32_t k = 0u; k < rule->terms; k++) {
        const eg_term *t = &rule->term[k];
        const eg_sensor *sensor = &T.sensor[t->sensor];
        const eg_reading *r = &in.senses.sensor[t->sensor];
        const bool true_of_it = ((t->relation == (uint8_t)EG_ABOVE) && (r->value > t->limit)) ||
                                ((t->relation == (uint8_t)EG_AT_LEAST) && (r->value >= t->limit)) ||
                                ((t->relation == (uint8_t)EG_BELOW) && (r->value < t->limit)) ||
                                ((t->relation == (uint8_t)EG_AT_MOST) && (r->value <= t->limit));
        if (!true_of_it || !reading_counts(r, sensor->min, sensor->max, sensor->max_age_us, now_us)) {
            return false;
        }
    }
    return true;
}

/* Index of the rule that acts after the step; T.rules: none. */
static uint32_t acting_rule(void) {
    uint32_t found = T.rules;
    const bool may = (after.mode == (uint8_t)EG_FALLBACK_ONLY) && (after.reason != (uint8_t)EG_STOPPED);
    for (uint32_t k = 0u; k < T.rules; k++) {
        if (may && (found == T.rules) && rule_holds(&T.rule[k])) {
            found = k;
        }
    }
    return found;
}

static int64_t goal_without_host(uint32_t i) {
    int64_t goal = T.actuator[i].safe;
    const uint32_t rule = acting_rule();
    for (uint32_t k = 0u; k < T.rules; k++) {
        goal = (rule == k) ? T.rule[k].value[i] : goal;
    }
    return goal;
}

/* Where an output stands after one move from `from` towards `goal`. */
static int64_t one_move(uint32_t i, int64_t from, int64_t goal) {
    const int64_t up = allowance(T.actuator[i].rise);
    const int64_t down = allowance(T.actuator[i].fall);
    if (goal > from) {
        return ((goal - from) <= up) ? goal : (from + up);
    }
    return ((from - goal) <= down) ? goal : (from - down);
}

static bool moves_now(void) {
    return (now_us - before.slewed_us) >= EG_SLEW_GRAIN_US;
}

/* ---- memory and arithmetic ------------------------------------------------------------------------------------------ */

/* The prover's own checks, over the core as it is: any state, any retained memory, any inputs, any time. */
static void memory(void) {
    eg_state state;
    eg_inputs in;
    uint64_t now_us;
    (void)eg_step(&T, &state, &in, now_us);
}

static void retained(void) {
    eg_state state;
    eg_outputs outputs;
    eg_outputs again;
    eg_retained memory_of_old;
    uint64_t now_us;
    eg_retain(&outputs, &again, &memory_of_old);
    eg_init(&T, &state, &memory_of_old, now_us);
}

/* What `prove_budget` assumes of `budget`, for every rate and span that can be asked for. */
static void arithmetic(void) {
    int32_t rate;
    uint64_t span_us;
    given((rate > 0) && (span_us >= EG_SLEW_GRAIN_US) && (span_us <= EG_SLEW_SPAN_MAX_US));
    const int64_t far = budget(rate, span_us);
    claim((far >= 0) && (far <= (int64_t)UINT32_MAX), "a move is not negative, and no longer than the range of outputs");
    if (rate != EG_NO_LIMIT) {
        claim(far == (((int64_t)rate * (int64_t)span_us) / 1000000), "a move is rate by time, rounded towards zero");
    }
}

/* ---- soundness and envelope ------------------------------------------------------------------------------------------ */

static void start_is_sound(void) {
    eg_state state;
    eg_retained memory_of_old;
    uint64_t now_us;
    eg_init(&T, &state, &memory_of_old, now_us);
    claim(state_keeps_the_rules(&state, now_us), "after a reset the state is sound, whatever memory held");
    claim(state.mode == (uint8_t)EG_SILENT, "with a sound table it boots silent");
    claim(state.session == 0u, "it boots without a session");
    eg_init(&T, &state, 0, now_us);
    claim(state_keeps_the_rules(&state, now_us) && (state.mode == (uint8_t)EG_SILENT), "so it does without memory");
}

static void lock_is_sound(void) {
    eg_state state;
    uint64_t now_us;
    eg_reason reason;
    uint8_t latches;
    given(state_keeps_the_rules(&state, now_us) && (reason <= EG_RESET) && (latches <= EG_LATCHES));
    eg_lock(&state, reason, latches);
    claim(state_keeps_the_rules(&state, now_us) && (state.mode == (uint8_t)EG_LOCKOUT), "a locked state is sound");
}

static void envelope(void) {
    any_step();
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        claim((out.value[i] >= T.actuator[i].min) && (out.value[i] <= T.actuator[i].max), "outputs keep min and max");
        claim(out.value[i] == after.channel[i].output, "what is reported is what is held");
    }
}

static void soundness(void) {
    sound_step();
    claim(state_keeps_the_rules(&after, now_us), "a step from a sound state leaves a sound state");
}

static void damage(void) {
    any_step();
    if (!state_keeps_the_rules(&before, now_us)) {
        claim(after.mode == (uint8_t)EG_LOCKOUT, "damaged memory locks out");
        claim((after.latches & EG_LATCH_MEMORY) != 0u, "damaged memory latches");
        claim(state_keeps_the_rules(&after, now_us), "a step from a damaged state leaves a sound state");
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            const int32_t old = before.channel[i].output;
            const bool inside = (old >= T.actuator[i].min) && (old <= T.actuator[i].max);
            claim(out.value[i] == (inside ? old : T.actuator[i].safe), "an output in its limits stays, another is safe");
        }
    }
}

static void slew(void) {
    ask_span = true;
    sound_step();
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const int64_t change = (int64_t)out.value[i] - (int64_t)before.channel[i].output;
        claim(change <= allowance(T.actuator[i].rise), "no output rises faster than its rate");
        claim(-change <= allowance(T.actuator[i].fall), "no output falls faster than its rate");
        claim(moves_now() || (change == 0), "no output moves twice in a millisecond");
    }
}

/* ---- what takes authority away ---------------------------------------------------------------------------------------- */

static void stop(void) {
    any_step();
    if (is_pressed()) {
        claim(!is_enabled(), "pressed: the host does not act");
        claim((after.latches & EG_LATCH_STOP) != 0u, "pressed: it is latched");
        claim((out.stopped == 1u) && (out.source == (uint8_t)EG_SAFE_STATE), "pressed: it is reported");
        claim((after.mode != (uint8_t)EG_FALLBACK_ONLY) || (after.reason == (uint8_t)EG_STOPPED), "pressed: the reason");
    }
}

static void stop_is_safe(void) {
    sound_step();
    const bool was_stopped = (before.mode == (uint8_t)EG_FALLBACK_ONLY) && (before.reason == (uint8_t)EG_STOPPED);
    claim(!was_stopped || is_enabled() || (after.reason == (uint8_t)EG_STOPPED), "stopped: until somebody is armed");
    if (is_pressed() || (was_stopped && !is_enabled())) {
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            const int64_t old = before.channel[i].output;
            const int64_t goal = T.actuator[i].safe;
            claim(out.value[i] == (moves_now() ? one_move(i, old, goal) : old), "stopped: outputs go to safe");
        }
    }
}

static void deadlines(void) {
    sound_step();
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        if (was_enabled() && ((now_us - before.channel[i].heard_us) > T.lost_us)) {
            claim(!is_enabled(), "one actuator without commands for too long: the host does not act");
            claim(after.mode == (uint8_t)EG_FALLBACK_ONLY, "the host is lost: the fallback acts");
        }
    }
}

static void feedback(void) {
    any_step();
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        claim(!is_enabled() || position_counts(i), "the host acts only with every measured position");
    }
}

static void lead(void) {
    sound_step();
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        if (is_enabled() && (T.actuator[i].feedback_age_us != 0u)) {
            const int64_t position = in.senses.measured[i].value;
            const int64_t lead_of = T.actuator[i].lead;
            const int64_t ahead = (int64_t)before.channel[i].output - position;
            const int64_t now_ahead = (int64_t)out.value[i] - position;
            claim((ahead < lead_of) || (now_ahead <= ahead), "what is ahead by the lead gets no further ahead");
            claim((ahead > -lead_of) || (now_ahead >= ahead), "what is behind by the lead gets no further behind");
            claim((ahead > lead_of) || (now_ahead <= lead_of), "the lead is not passed upwards");
            claim((ahead < -lead_of) || (now_ahead >= -lead_of), "the lead is not passed downwards");
        }
    }
}

/* ---- who acts --------------------------------------------------------------------------------------------------------- */

static void entry(void) {
    any_step();
    if (is_enabled() && !was_enabled()) {
        const eg_request *r = &in.request;
        claim((r->action == (uint8_t)EG_ARM) && (out.refusal == (uint8_t)EG_ACCEPTED), "only an arm request enables");
        claim((r->by_operator == 1u) && (r->source == (uint8_t)EG_HUMAN), "only the operator arms");
        claim(r->policy_hash == T.policy_hash, "only under the same policy");
        claim((r->age_ms <= r->valid_ms) && (r->age_ms <= T.valid_max_ms), "only a fresh request");
        claim((before.session == 1u) && (before.latches == 0u), "only in a session, and with nothing latched");
        claim(!is_pressed() && (before.mode != (uint8_t)EG_LOCKOUT), "not while stopped, not when locked out");
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            const eg_channel *c = &before.channel[i];
            claim(c->in_time >= T.arm_commands, "only after enough commands in time, for every actuator");
            claim((now_us - c->heard_us) <= T.degraded_us, "only with a recent command for every actuator");
            claim(position_counts(i), "only with every measured position");
        }
    }
}

static void modes(void) {
    any_step();
    const uint8_t was = before.mode;
    const uint8_t is = after.mode;
    claim((was != (uint8_t)EG_LOCKOUT) || (is == was), "a lockout stays");
    claim((is == was) || (is != (uint8_t)EG_SILENT), "nothing goes back to silent");
    claim((is != (uint8_t)EG_FALLBACK_ONLY) || (is == was) || (was == (uint8_t)EG_ENABLED), "only the host falls back");
    const bool foreign = (in.request.action != (uint8_t)EG_NOTHING) && (in.request.action != (uint8_t)EG_OPENED) &&
                         (in.request.policy_hash != T.policy_hash);
    claim(!foreign || !is_enabled(), "another policy's command ends the host's authority");
    claim((in.request.action != (uint8_t)EG_OPENED) || !is_enabled(), "a new session ends it");
    const bool disarmed = (in.request.action == (uint8_t)EG_DISARM) && (out.refusal == (uint8_t)EG_ACCEPTED);
    claim(!disarmed || !is_enabled(), "a disarm request ends it");
    claim(!is_enabled() || ((after.latches == 0u) && (after.session == 1u)), "enabled: a session, no latch");
    claim((out.mode == is) && (out.latches == after.latches), "mode and latches are reported");
}

static void latches(void) {
    any_step();
    const uint8_t gone = (uint8_t)(before.latches & EG_LATCHES & (uint8_t)~after.latches);
    const eg_request *r = &in.request;
    if (gone != 0u) {
        claim((r->action == (uint8_t)EG_RELEASE) && (out.refusal == (uint8_t)EG_ACCEPTED), "only a release unlatches");
        claim((r->by_operator == 1u) && (r->source == (uint8_t)EG_HUMAN), "only the operator releases");
        claim(!is_pressed() && !is_enabled(), "not while stopped, and it enables nothing");
        claim(r->policy_hash == T.policy_hash, "only under the same policy");
    }
}

static void requests(void) {
    sound_step();
    const eg_request *r = &in.request;
    const bool accepted = out.refusal == (uint8_t)EG_ACCEPTED;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_channel *old = &before.channel[i];
        const eg_channel *new = &after.channel[i];
        const bool set = accepted && (r->action == (uint8_t)EG_SET) && (r->actuator == i);
        if (!set) {
            claim((new->target == old->target) && (new->source == old->source), "only an accepted command sets a target");
            claim(new->heard_us == old->heard_us, "only an accepted command is a sign of life");
            claim(new->in_time <= old->in_time, "only an accepted command counts towards arming");
        } else {
            claim(r->policy_hash == T.policy_hash, "a command under another policy is refused");
            claim((r->age_ms <= r->valid_ms) && (r->age_ms <= T.valid_max_ms), "an old command is refused");
            claim((r->source >= T.actuator[i].authority) && (r->source <= 3u), "a source may only what the table allows");
            claim((before.session == 1u) && (before.mode != (uint8_t)EG_LOCKOUT), "no session, no command");
            claim((r->source != 3u) || (new->target == T.actuator[i].safe), "the safe state means the table's value");
            claim((new->heard_us == now_us) && (new->source == r->source), "a command is a sign of life");
        }
    }
    const bool refused = !accepted && (out.refusal <= (uint8_t)EG_NO_SUCH_SOURCE);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        claim(!refused || (after.channel[i].in_time == 0u), "a strange request restarts the count towards arming");
    }
}

/* ---- the fallback ----------------------------------------------------------------------------------------------------- */

static void fallback(void) {
    sound_step();
    if (!is_enabled()) {
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            const int64_t old = before.channel[i].output;
            const int64_t there = moves_now() ? one_move(i, old, goal_without_host(i)) : old;
            claim(out.value[i] == there, "without the host the first rule that holds acts, else safe, by the rates");
        }
    }
}

static int64_t distance(int64_t a, int64_t b) {
    return (a < b) ? (b - a) : (a - b);
}

/* Each millisecond brings an output nearer by its rate's worth, or there: so it arrives, and when is known. */
static void ramp(void) {
    anything();
    given(state_keeps_the_rules(&before, now_us) && ((now_us - before.slewed_us) == EG_SLEW_GRAIN_US));
    take_step();
    if (!is_enabled()) {
        for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
            const eg_actuator *a = &T.actuator[i];
            const int64_t goal = goal_without_host(i);
            const int64_t far = distance(goal, before.channel[i].output);
            const int64_t still = distance(goal, out.value[i]);
            const int64_t rate = allowance((goal > before.channel[i].output) ? a->rise : a->fall);
            claim((still == 0) || (still == (far - rate)), "each millisecond brings it nearer by the rate's worth");
        }
    }
}

/* With `ramp`: a rate's worth of a millisecond is more than nothing. */
static void ramp_ends(void) {
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        claim(budget(T.actuator[i].rise, EG_SLEW_GRAIN_US) > 0, "a millisecond's rise is more than nothing");
        claim(budget(T.actuator[i].fall, EG_SLEW_GRAIN_US) > 0, "a millisecond's fall is more than nothing");
    }
}

/* ---- not vacuous: each of these must be refuted ------------------------------------------------------------------------- */

static void never_enters(void) {
    sound_step();
    claim(was_enabled() || !is_enabled(), "nothing is ever enabled");
}

static void never_moves(void) {
    sound_step();
    claim(!was_enabled() || !is_enabled() || (out.value[0] == before.channel[0].output), "nothing ever moves");
}

static void never_releases(void) {
    sound_step();
    claim((before.latches == 0u) || (after.latches != 0u), "nothing is ever released");
}

int main(void) {
    PROPERTY();
    return 0;
}
