/* Many traces at once, for comparing the core with its second implementation (tools/compare-machines).
 * The caller's arrays hold the core's own structs; `eg_traces_layout` says how they lie. Decides nothing. */
#include <stddef.h>
#include <string.h>

#include "eg_pair.h"

#define LAYOUT_ROOM 96u

const eg_table *eg_traces_table(void);
uint32_t eg_traces_layout(uint32_t numbers[LAYOUT_ROOM]);
void eg_traces_init(const eg_table *table, size_t traces, eg_state *states, const eg_retained *retained,
                    const uint64_t *now_us);
void eg_traces_retain(size_t traces, const eg_state *states, eg_retained *retained);
void eg_traces_lock(size_t traces, eg_state *states, const uint8_t *reasons, const uint8_t *latches);
size_t eg_traces_run(const eg_table *table, size_t traces, size_t steps, eg_state *states, const eg_inputs *inputs,
                     const uint64_t *now_us, eg_outputs *outputs);

const eg_table *eg_traces_table(void) {
    return &eg_policy_table;
}

#define AT(type, field) (uint32_t)offsetof(type, field)

/* The rooms; then of table, inputs, state, outputs and retained memory: the size and the place of every field. After
 * the fields of an array of structs comes its stride. Returns how many numbers there are. */
uint32_t eg_traces_layout(uint32_t numbers[LAYOUT_ROOM]) {
    static const uint32_t known[] = {
        EG_ACTUATORS, EG_SENSORS_ROOM, EG_RULES_ROOM, EG_TERMS_ROOM,
        sizeof(eg_table),
        AT(eg_table, digest), AT(eg_table, policy_hash), AT(eg_table, degraded_us), AT(eg_table, lost_us),
        AT(eg_table, valid_max_ms), AT(eg_table, arm_commands), AT(eg_table, stop), AT(eg_table, sensors),
        AT(eg_table, rules),
        AT(eg_table, actuator[0].min), AT(eg_table, actuator[0].max), AT(eg_table, actuator[0].rise),
        AT(eg_table, actuator[0].fall), AT(eg_table, actuator[0].safe), AT(eg_table, actuator[0].lead),
        AT(eg_table, actuator[0].feedback_age_us), AT(eg_table, actuator[0].authority), sizeof(eg_actuator),
        AT(eg_table, sensor[0].min), AT(eg_table, sensor[0].max), AT(eg_table, sensor[0].max_age_us),
        sizeof(eg_sensor),
        AT(eg_table, rule[0].terms), AT(eg_table, rule[0].term[0].limit), AT(eg_table, rule[0].term[0].sensor),
        AT(eg_table, rule[0].term[0].relation), sizeof(eg_term), AT(eg_table, rule[0].value), sizeof(eg_rule),
        sizeof(eg_inputs),
        AT(eg_inputs, request.action), AT(eg_inputs, request.source), AT(eg_inputs, request.actuator),
        AT(eg_inputs, request.by_operator), AT(eg_inputs, request.valid_ms), AT(eg_inputs, request.age_ms),
        AT(eg_inputs, request.policy_hash), AT(eg_inputs, request.value),
        AT(eg_inputs, senses.measured[0].at_us), AT(eg_inputs, senses.measured[0].value),
        AT(eg_inputs, senses.measured[0].valid), sizeof(eg_reading),
        AT(eg_inputs, senses.sensor[0].at_us), AT(eg_inputs, senses.sensor[0].value),
        AT(eg_inputs, senses.sensor[0].valid), sizeof(eg_reading), AT(eg_inputs, senses.stop_released),
        sizeof(eg_state),
        AT(eg_state, stepped_us), AT(eg_state, slewed_us),
        AT(eg_state, channel[0].heard_us), AT(eg_state, channel[0].target), AT(eg_state, channel[0].output),
        AT(eg_state, channel[0].source), AT(eg_state, channel[0].in_time), AT(eg_state, channel[0].spare),
        sizeof(eg_channel),
        AT(eg_state, mode), AT(eg_state, reason), AT(eg_state, latches), AT(eg_state, session), AT(eg_state, spare),
        sizeof(eg_outputs),
        AT(eg_outputs, value), AT(eg_outputs, mode), AT(eg_outputs, reason), AT(eg_outputs, source),
        AT(eg_outputs, refusal), AT(eg_outputs, latches), AT(eg_outputs, degraded), AT(eg_outputs, ready),
        AT(eg_outputs, stopped),
        sizeof(eg_retained),
        AT(eg_retained, record[0].turn), AT(eg_retained, record[0].output), AT(eg_retained, record[0].mode),
        AT(eg_retained, record[0].latches), AT(eg_retained, record[0].spare), AT(eg_retained, record[0].check),
        sizeof(eg_record),
    };
    const uint32_t count = (uint32_t)(sizeof(known) / sizeof(known[0]));
    _Static_assert(sizeof(known) / sizeof(known[0]) <= LAYOUT_ROOM, "the caller's array is too short");
    for (uint32_t i = 0u; i < count; i++) {
        numbers[i] = known[i];
    }
    return count;
}

/* `retained`: NULL, or one for every trace. */
void eg_traces_init(const eg_table *table, size_t traces, eg_state *states, const eg_retained *retained,
                    const uint64_t *now_us) {
    for (size_t i = 0u; i < traces; i++) {
        eg_init(table, &states[i], (retained == NULL) ? NULL : &retained[i], now_us[i]);
    }
}

void eg_traces_retain(size_t traces, const eg_state *states, eg_retained *retained) {
    for (size_t i = 0u; i < traces; i++) {
        eg_outputs outputs = {.mode = states[i].mode, .latches = states[i].latches};
        for (uint32_t k = 0u; k < EG_ACTUATORS; k++) {
            outputs.value[k] = states[i].channel[k].output;
        }
        eg_retain(&outputs, &outputs, &retained[i]);
    }
}

void eg_traces_lock(size_t traces, eg_state *states, const uint8_t *reasons, const uint8_t *latches) {
    for (size_t i = 0u; i < traces; i++) {
        eg_lock(&states[i], (eg_reason)reasons[i], latches[i]);
    }
}

static bool same(const void *a, const void *b, size_t size) {
    return memcmp(a, b, size) == 0;
}

/* `inputs`, `now_us` and `outputs`: `traces` rows of `steps`; `states`: one a trace, taken and given back.
 * Each step is done by the core alone and by its pair. Returns in how many steps these two were not the same. */
size_t eg_traces_run(const eg_table *table, size_t traces, size_t steps, eg_state *states, const eg_inputs *inputs,
                     const uint64_t *now_us, eg_outputs *outputs) {
    size_t unlike = 0u;
    for (size_t i = 0u; i < traces; i++) {
        eg_pair pair = {.state = states[i]};
        eg_pair_renew(&pair);
        for (size_t k = i * steps; k < (i + 1u) * steps; k++) {
            eg_outputs first;
            eg_outputs second;
            outputs[k] = eg_step(table, &states[i], &inputs[k], now_us[k]);
            const bool agree = eg_pair_step(table, &pair, &inputs[k], now_us[k], &first, &second);
            if (!agree || !same(&first, &outputs[k], sizeof(first)) || !same(&second, &outputs[k], sizeof(second)) ||
                !same(&pair.state, &states[i], sizeof(eg_state))) {
                unlike++;
            }
        }
    }
    return unlike;
}
