/* The firmware as a shared library, for tests and rigs in virtual time: the caller owns the memory and the clock.
 * The same core and link as on every board; nothing here may decide anything. */
#include "eg_device.h"
#include "eg_sha256.h"

/* Named in one place so that a caller in another language needs no knowledge of the structs. */
size_t eg_lib_size(void);
uint32_t eg_lib_actuators(void);
void eg_lib_reset(eg_device *d, const uint8_t *key, const uint8_t *seed, uint64_t now_us);
void eg_lib_feed(eg_device *d, const uint8_t *data, size_t length, uint64_t now_us);
uint64_t eg_lib_run(eg_device *d, uint64_t from_us, uint64_t to_us, uint64_t step_us);
int32_t eg_lib_output(const eg_device *d, uint32_t actuator);
void eg_lib_facts(const eg_device *d, uint32_t facts[9]);
void eg_lib_corrupt_output(eg_device *d, uint32_t actuator, int32_t value);
void eg_lib_sha256(const uint8_t *data, size_t length, uint8_t *digest);

size_t eg_lib_size(void) {
    return sizeof(eg_device);
}

uint32_t eg_lib_actuators(void) {
    return EG_ACTUATORS;
}

void eg_lib_reset(eg_device *d, const uint8_t *key, const uint8_t *seed, uint64_t now_us) {
    eg_device_init(d, &eg_policy_table, key, seed, now_us);
}

void eg_lib_feed(eg_device *d, const uint8_t *data, size_t length, uint64_t now_us) {
    for (size_t i = 0u; i < length; i++) {
        eg_device_receive(d, data[i], now_us);
    }
}

/* Ticks every `step_us` after `from_us` up to and with `to_us`. Returns the time of the last mode change, or 0. */
uint64_t eg_lib_run(eg_device *d, uint64_t from_us, uint64_t to_us, uint64_t step_us) {
    uint64_t changed = 0u;
    for (uint64_t now = from_us + step_us; now <= to_us; now += step_us) {
        const uint8_t before = d->outputs.mode;
        eg_device_tick(d, now);
        if (d->outputs.mode != before) {
            changed = now;
        }
    }
    return changed;
}

int32_t eg_lib_output(const eg_device *d, uint32_t actuator) {
    return (actuator < EG_ACTUATORS) ? d->outputs.value[actuator] : 0;
}

void eg_lib_facts(const eg_device *d, uint32_t facts[9]) {
    facts[0] = d->outputs.mode;
    facts[1] = d->outputs.reason;
    facts[2] = d->outputs.source;
    facts[3] = d->refusal;
    facts[4] = d->rejected;
    facts[5] = d->crc_errors;
    facts[6] = d->dropped;
    facts[7] = d->outputs.degraded ? 1u : 0u;
    facts[8] = d->outputs.ready ? 1u : 0u;
}

/* A bit flip in retained memory, for the tests of the core's self-check. */
void eg_lib_corrupt_output(eg_device *d, uint32_t actuator, int32_t value) {
    if (actuator < EG_ACTUATORS) {
        d->state.channel[actuator].output = value;
    }
}

void eg_lib_sha256(const uint8_t *data, size_t length, uint8_t *digest) {
    eg_sha256 hash;
    eg_sha256_start(&hash);
    eg_sha256_add(&hash, data, length);
    eg_sha256_end(&hash, digest);
}
