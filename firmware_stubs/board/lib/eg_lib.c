/* The firmware as a shared library, for tests and rigs in virtual time: the caller owns the memory and the clock.
 * The same core and link as on every board; nothing here may decide anything. */
#include "eg_device.h"
#include "eg_sha256.h"

/* Named in one place so that a caller in another language needs no knowledge of the structs. */
size_t eg_lib_size(void);
uint32_t eg_lib_actuators(void);
void eg_lib_reset(eg_device *d, const uint8_t *host_key, const uint8_t *operator_key, const uint8_t *seed,
                  uint32_t retained, uint64_t now_us);
void eg_lib_feed(eg_device *d, const uint8_t *data, size_t length, uint64_t now_us);
uint64_t eg_lib_run(eg_device *d, uint64_t from_us, uint64_t to_us, uint64_t step_us);
int32_t eg_lib_output(const eg_device *d, uint32_t actuator);
void eg_lib_facts(const eg_device *d, uint32_t facts[12]);
void eg_lib_drive(const eg_device *d, uint32_t actuator, uint32_t pair[2]);
void eg_lib_sense(eg_device *d, uint32_t sensor, int32_t value, uint64_t at_us, uint32_t valid);
void eg_lib_measure(eg_device *d, uint32_t actuator, int32_t value, uint64_t at_us, uint32_t valid);
void eg_lib_stop(eg_device *d, uint32_t pressed);
uint32_t eg_lib_accepted(const eg_device *d);
uint64_t eg_lib_heard(const eg_device *d);
void eg_lib_corrupt_output(eg_device *d, uint32_t actuator, int32_t value);
void eg_lib_corrupt_kept(eg_device *d);
void eg_lib_sha256(const uint8_t *data, size_t length, uint8_t *digest);

size_t eg_lib_size(void) {
    return sizeof(eg_device);
}

uint32_t eg_lib_actuators(void) {
    return EG_ACTUATORS;
}

/* `retained`: 1 after a reset, memory and the emergency stop's contact stay as they were; 0 after a loss of power. */
void eg_lib_reset(eg_device *d, const uint8_t *host_key, const uint8_t *operator_key, const uint8_t *seed,
                  uint32_t retained, uint64_t now_us) {
    const eg_retained kept = d->kept;
    const uint8_t released = (retained == 1u) ? d->senses.stop_released : 1u;
    eg_identity identity;
    for (uint32_t i = 0u; i < EG_KEY_SIZE; i++) {
        identity.keys.key[EG_HOST_KEY][i] = host_key[i];
        identity.keys.key[EG_OPERATOR_KEY][i] = operator_key[i];
    }
    for (uint32_t i = 0u; i < EG_SEED_SIZE; i++) {
        identity.seed[i] = seed[i];
    }
    eg_device_init(d, &identity, (retained == 1u) ? &kept : NULL, released, now_us);
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

void eg_lib_facts(const eg_device *d, uint32_t facts[12]) {
    facts[0] = d->outputs.mode;
    facts[1] = d->outputs.reason;
    facts[2] = d->outputs.source;
    facts[3] = d->refusal;
    facts[4] = d->rejected;
    facts[5] = d->crc_errors;
    facts[6] = d->dropped;
    facts[7] = d->outputs.degraded;
    facts[8] = d->outputs.ready;
    facts[9] = d->outputs.latches;
    facts[10] = d->outputs.stopped;
    facts[11] = (uint32_t)d->opened;
}

void eg_lib_drive(const eg_device *d, uint32_t actuator, uint32_t pair[2]) {
    const eg_drive drive = eg_device_drive(d, actuator);
    pair[0] = drive.value;
    pair[1] = drive.check;
}

void eg_lib_sense(eg_device *d, uint32_t sensor, int32_t value, uint64_t at_us, uint32_t valid) {
    if (sensor < EG_SENSORS_ROOM) {
        d->senses.sensor[sensor] = (eg_reading){.at_us = at_us, .value = value, .valid = (uint8_t)valid};
    }
}

void eg_lib_measure(eg_device *d, uint32_t actuator, int32_t value, uint64_t at_us, uint32_t valid) {
    if (actuator < EG_ACTUATORS) {
        d->senses.measured[actuator] = (eg_reading){.at_us = at_us, .value = value, .valid = (uint8_t)valid};
    }
}

void eg_lib_stop(eg_device *d, uint32_t pressed) {
    d->senses.stop_released = (pressed == 0u) ? 1u : 0u;
}

/* Counter of the last command of the host's that was accepted in this session; 0: none. */
uint32_t eg_lib_accepted(const eg_device *d) {
    return d->accepted;
}

/* When the host was last heard: its last accepted command, or its opening of the session. */
uint64_t eg_lib_heard(const eg_device *d) {
    return d->heard_us;
}

/* A bit flip in the first copy of the core's memory. */
void eg_lib_corrupt_output(eg_device *d, uint32_t actuator, int32_t value) {
    if (actuator < EG_ACTUATORS) {
        d->pair.state.channel[actuator].output = value;
    }
}

/* Bit flips in both kept records: no sound one is left. */
void eg_lib_corrupt_kept(eg_device *d) {
    d->kept.record[0].check = ~d->kept.record[0].check;
    d->kept.record[1].check = ~d->kept.record[1].check;
}

void eg_lib_sha256(const uint8_t *data, size_t length, uint8_t *digest) {
    eg_sha256 hash;
    eg_sha256_start(&hash);
    eg_sha256_add(&hash, data, length);
    eg_sha256_end(&hash, digest);
}
