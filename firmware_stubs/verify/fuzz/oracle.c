/* The claims of oracle.h. Nothing here asks the core's own functions, but eg_latest for what was kept.
 * A claim that does not hold ends the run. */
#include "oracle.h"

#include <string.h>

#include "eg_retained.h"
#include "fuzz.h"

#define SIGNED_ROOM 4096u
#define MICRO 1000000

typedef struct {
    eg_state state;
    eg_outputs outputs;
    uint32_t heard[EG_KEYS];
    uint8_t nonce[8];
    uint8_t session[8];
    uint64_t opened;
    eg_parser parser;
} picture;

static const eg_table *const TABLE = &eg_policy_table;
static signed_frame frames[SIGNED_ROOM];
static uint32_t frame_count;
static picture before;
static uint64_t heard_us[EG_ACTUATORS]; /* when the last good SET for it came, by our own account */
static uint32_t in_time[EG_ACTUATORS];
static uint64_t moved_us; /* when outputs may last have moved */
static uint64_t last_us;

static void forget(void) {
    memset(in_time, 0, sizeof in_time);
}

void oracle_signed(const signed_frame *frame) {
    REQUIRE(frame_count < SIGNED_ROOM);
    frames[frame_count] = *frame;
    frame_count++;
}

static bool stop_is_pressed(const eg_device *d) {
    return (TABLE->stop == 1u) && (d->senses.stop_released != 1u);
}

static bool position_is_known(const eg_device *d, uint32_t i, uint64_t now_us) {
    const eg_actuator *a = &TABLE->actuator[i];
    const eg_reading *r = &d->senses.measured[i];
    return (a->feedback_age_us == 0u) ||
           ((r->valid == 1u) && (r->at_us <= now_us) && (now_us - r->at_us <= a->feedback_age_us) &&
            ((int64_t)r->value >= (int64_t)a->min - a->lead) && ((int64_t)r->value <= (int64_t)a->max + a->lead));
}

/* ---- outputs --------------------------------------------------------------------------------------------------- */

static void outputs_are_driven(const eg_device *d) {
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_drive drive = eg_device_drive(d, i);
        REQUIRE(drive.value == ~drive.check);
        REQUIRE((int32_t)drive.value == d->outputs.value[i]);
        REQUIRE((d->outputs.value[i] >= TABLE->actuator[i].min) && (d->outputs.value[i] <= TABLE->actuator[i].max));
    }
}

static int64_t reach(int32_t rate, uint64_t span_us) {
    return (rate == EG_NO_LIMIT) ? INT64_MAX : ((int64_t)rate * (int64_t)span_us) / MICRO;
}

static int64_t away(int64_t a, int64_t b) {
    return (a > b) ? (a - b) : (b - a);
}

static void outputs_moved_rightly(const eg_device *d, uint64_t now_us) {
    uint64_t span = (now_us > moved_us) ? (now_us - moved_us) : 0u;
    if (span < EG_SLEW_GRAIN_US) {
        span = 0u;
    } else {
        moved_us = now_us;
    }
    span = (span > EG_SLEW_SPAN_MAX_US) ? EG_SLEW_SPAN_MAX_US : span;
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        const eg_actuator *a = &TABLE->actuator[i];
        const int64_t step = (int64_t)d->outputs.value[i] - before.outputs.value[i];
        REQUIRE((span != 0u) || (step == 0));
        REQUIRE((step <= reach(a->rise, span)) && (-step <= reach(a->fall, span)));
        const bool stopped = d->outputs.reason == (uint8_t)EG_STOPPED; /* released or not */
        if (((d->outputs.latches & EG_LATCH_STOP) != 0u) || stopped || (d->outputs.mode == (uint8_t)EG_SILENT) ||
            (d->outputs.mode == (uint8_t)EG_LOCKOUT)) {
            REQUIRE(away(d->outputs.value[i], a->safe) <= away(before.outputs.value[i], a->safe));
        }
        if ((d->outputs.mode == (uint8_t)EG_ENABLED) && (a->feedback_age_us != 0u)) {
            const int64_t at = d->senses.measured[i].value;
            REQUIRE((step <= 0) || (d->outputs.value[i] <= at + a->lead));
            REQUIRE((step >= 0) || (d->outputs.value[i] >= at - a->lead));
        }
    }
}

/* ---- which signed frame explains what changed ------------------------------------------------------------------ */

/* Whether the parser held this frame's payload, and only the end of the frame was missing. */
static bool was_waiting(const signed_frame *f) {
    for (uint32_t at = EG_HEADER; at + EG_COMMAND_SIZE <= before.parser.used; at++) {
        if (memcmp(&before.parser.buffer[at], f->payload, EG_COMMAND_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static const signed_frame *explained(const eg_device *d) {
    for (uint32_t k = 0u; (d->opened == before.opened) && (k < EG_KEYS); k++) {
        REQUIRE(d->heard[k] >= before.heard[k]);
        for (uint32_t i = 0u; (d->heard[k] != before.heard[k]) && (i < frame_count); i++) {
            signed_frame *f = &frames[i];
            if (!f->open && !f->used && (f->key == k) && (f->counter == d->heard[k]) &&
                (memcmp(f->session, d->session, 8u) == 0) && was_waiting(f)) {
                f->used = true;
                return f;
            }
        }
        REQUIRE(d->heard[k] == before.heard[k]); /* heard something that nobody signed, or that came before */
    }
    return NULL;
}

static void session_is_explained(const eg_device *d) {
    if (d->opened == before.opened) {
        REQUIRE(memcmp(d->session, before.session, 8u) == 0);
        REQUIRE(memcmp(d->nonce, before.nonce, 8u) == 0);
        return;
    }
    REQUIRE(memcmp(d->nonce, before.nonce, 8u) != 0);
    for (uint32_t i = 0u; i < frame_count; i++) {
        if (frames[i].open && !frames[i].used && (memcmp(frames[i].session, before.nonce, 8u) == 0)) {
            frames[i].used = true;
            return;
        }
    }
    const bool opened_by_a_signed_open = false;
    REQUIRE(opened_by_a_signed_open);
}

static bool is_good(const signed_frame *f, uint64_t now_us) {
    const uint32_t age = (uint32_t)(now_us / 1000u) - f->echo_ms;
    return (f->policy_hash == TABLE->policy_hash) && (age <= f->valid_ms) && (age <= TABLE->valid_max_ms) &&
           (f->source <= (uint8_t)EG_SAFE_STATE);
}

static bool is_by_operator(const signed_frame *f, uint8_t action, uint64_t now_us) {
    return (f != NULL) && (f->key == EG_OPERATOR_KEY) && (f->action == action) && (f->source == (uint8_t)EG_HUMAN) &&
           is_good(f, now_us);
}

/* ---- what commands did ----------------------------------------------------------------------------------------- */

static void channel_is_explained(const eg_device *d, uint32_t i, const signed_frame *f, uint64_t now_us) {
    const eg_channel *is = &d->pair.state.channel[i];
    const eg_channel *was = &before.state.channel[i];
    const eg_actuator *a = &TABLE->actuator[i];
    if ((is->heard_us == was->heard_us) && (is->target == was->target) && (is->source == was->source)) {
        return;
    }
    REQUIRE(f != NULL);
    REQUIRE((f->key == EG_HOST_KEY) && (f->action == (uint8_t)EG_SET) && (f->actuator == i) && is_good(f, now_us));
    REQUIRE((f->source >= a->authority) && (is->source == f->source) && (is->heard_us == now_us));
    const int32_t wanted = (f->source == (uint8_t)EG_SAFE_STATE) ? a->safe : f->value;
    REQUIRE(is->target == ((wanted < a->min) ? a->min : ((wanted > a->max) ? a->max : wanted)));
}

/* Whether the link lets the core see it: what is refused before is no step. */
static bool is_let_through(const signed_frame *f) {
    const bool theirs = (f->action == (uint8_t)EG_DISARM) ||
                        ((f->action == (uint8_t)EG_SET) && (f->key == EG_HOST_KEY)) ||
                        (((f->action == (uint8_t)EG_ARM) || (f->action == (uint8_t)EG_RELEASE)) &&
                         (f->key == EG_OPERATOR_KEY));
    return theirs && (f->data_id == 0xE600u + f->actuator);
}

static void account(const signed_frame *f, uint64_t now_us) {
    if (!is_good(f, now_us) || (f->action == (uint8_t)EG_DISARM)) {
        forget();
        return;
    }
    const bool set = (f->action == (uint8_t)EG_SET) && (f->actuator < EG_ACTUATORS);
    if (set && (f->source >= TABLE->actuator[f->actuator].authority)) {
        const uint32_t i = f->actuator;
        in_time[i] = (now_us - heard_us[i] > TABLE->degraded_us) ? 1u : (in_time[i] + 1u);
        heard_us[i] = now_us;
    }
}

/* ---- modes and latches ----------------------------------------------------------------------------------------- */

static void armed_rightly(const eg_device *d, const signed_frame *f, uint64_t now_us) {
    REQUIRE(is_by_operator(f, (uint8_t)EG_ARM, now_us));
    REQUIRE(before.state.latches == 0u);
    REQUIRE(before.state.mode != (uint8_t)EG_LOCKOUT);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        REQUIRE((in_time[i] >= TABLE->arm_commands) && (now_us - heard_us[i] <= TABLE->degraded_us));
    }
    REQUIRE(!stop_is_pressed(d));
}

static void mode_is_explained(const eg_device *d, const signed_frame *f, bool stepped, uint64_t now_us) {
    const uint8_t was = before.state.mode;
    const uint8_t is = d->outputs.mode;
    REQUIRE(is == d->pair.state.mode);
    REQUIRE((was != (uint8_t)EG_LOCKOUT) || (is == (uint8_t)EG_LOCKOUT));
    REQUIRE((is != (uint8_t)EG_SILENT) || (was == (uint8_t)EG_SILENT));
    REQUIRE(!stepped || !stop_is_pressed(d) || ((d->outputs.latches & EG_LATCH_STOP) != 0u));
    for (uint32_t i = 0u; stepped && (was == (uint8_t)EG_ENABLED) && (i < EG_ACTUATORS); i++) {
        REQUIRE(position_is_known(d, i, now_us) ||
                ((d->outputs.latches & (EG_LATCH_FEEDBACK | EG_LATCH_STOP)) != 0u));
    }
    REQUIRE((is != (uint8_t)EG_FALLBACK_ONLY) || (was == is) || (was == (uint8_t)EG_ENABLED));
    if (is != (uint8_t)EG_ENABLED) {
        return;
    }
    if (was != is) {
        armed_rightly(d, f, now_us);
    }
    REQUIRE((d->pair.state.session == 1u) && (d->outputs.latches == 0u));
    for (uint32_t i = 0u; stepped && (i < EG_ACTUATORS); i++) {
        REQUIRE(now_us - heard_us[i] <= TABLE->lost_us);
        REQUIRE(position_is_known(d, i, now_us));
    }
    REQUIRE(!stepped || !stop_is_pressed(d));
}

static void latches_are_explained(const eg_device *d, const signed_frame *f, uint64_t now_us) {
    const uint8_t was = before.state.latches;
    const uint8_t is = d->outputs.latches;
    if ((was & ~is) != 0) {
        REQUIRE(is_by_operator(f, (uint8_t)EG_RELEASE, now_us) && (is == 0u) && !stop_is_pressed(d));
    }
    const uint8_t added = (uint8_t)(is & ~was);
    REQUIRE(((added & EG_LATCH_STOP) == 0u) || stop_is_pressed(d));
    REQUIRE(((added & EG_LATCH_FEEDBACK) == 0u) || (before.state.mode == (uint8_t)EG_ENABLED));
    REQUIRE(((added & EG_LATCH_MEMORY) == 0u) || (now_us < last_us));
    REQUIRE((added & EG_LATCH_RESET) == 0u);
}

static void kept_is_new(const eg_device *d) {
    const eg_record *kept = eg_latest(&d->kept);
    REQUIRE((kept != NULL) && (kept->mode == d->outputs.mode) && (kept->latches == d->outputs.latches));
    REQUIRE(memcmp(kept->output, d->outputs.value, sizeof kept->output) == 0);
}

/* ---- the calls ------------------------------------------------------------------------------------------------- */

void oracle_before(const eg_device *d) {
    before.state = d->pair.state;
    before.outputs = d->outputs;
    before.opened = d->opened;
    before.parser = d->parser;
    memcpy(before.heard, d->heard, sizeof before.heard);
    memcpy(before.nonce, d->nonce, 8u);
    memcpy(before.session, d->session, 8u);
}

void oracle_booted(const eg_device *d, const eg_retained *kept, uint64_t now_us) {
    const eg_record *last = (kept == NULL) ? NULL : eg_latest(kept);
    REQUIRE((d->outputs.mode == (uint8_t)EG_SILENT) && (d->pair.state.session == 0u));
    outputs_are_driven(d);
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        REQUIRE(d->outputs.value[i] == ((last == NULL) ? TABLE->actuator[i].safe : last->output[i]));
        heard_us[i] = 0u;
    }
    const uint8_t stop = stop_is_pressed(d) ? EG_LATCH_STOP : 0u;
    const uint8_t reset = ((last != NULL) && (last->mode == (uint8_t)EG_ENABLED)) ? EG_LATCH_RESET : 0u;
    REQUIRE(d->outputs.latches == (((last == NULL) ? 0u : last->latches) | reset | stop));
    forget();
    frame_count = 0u; /* nothing signed before a reset may ever be heard again */
    moved_us = now_us;
    last_us = now_us;
}

void oracle_after(const eg_device *d, uint64_t now_us, bool tick) {
    const bool backwards = now_us < last_us;
    outputs_are_driven(d);
    REQUIRE(d->send_used <= EG_SEND_BUFFER);
    session_is_explained(d);
    const signed_frame *f = explained(d);
    const bool heard = (f != NULL) && is_let_through(f);
    const bool stepped = tick || heard || (d->opened != before.opened);
    if (backwards && stepped) {
        REQUIRE((d->outputs.mode == (uint8_t)EG_LOCKOUT) && ((d->outputs.latches & EG_LATCH_MEMORY) != 0u));
        moved_us = last_us = now_us;
        return;
    }
    for (uint32_t i = 0u; i < EG_ACTUATORS; i++) {
        channel_is_explained(d, i, f, now_us);
    }
    if ((d->opened != before.opened) || ((d->outputs.latches & ~before.state.latches) != 0) ||
        ((before.state.mode == (uint8_t)EG_ENABLED) && (d->outputs.mode != before.state.mode))) {
        forget();
    }
    if (heard && (before.state.mode != (uint8_t)EG_LOCKOUT)) {
        account(f, now_us);
    }
    mode_is_explained(d, f, stepped, now_us);
    latches_are_explained(d, f, now_us);
    if (stepped) {
        outputs_moved_rightly(d, now_us);
        kept_is_new(d);
        last_us = now_us;
    } else {
        REQUIRE(memcmp(&d->outputs, &before.outputs, sizeof before.outputs) == 0);
    }
}
