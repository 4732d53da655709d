/* What the device says: see eg_report.h, and docs/reference/link-protocol.md for the messages.
 * A frame that finds no room is dropped whole and counted: the core never waits for the line. */
#include "eg_report.h"

#define FLAG_DEGRADED 0x01u
#define FLAG_READY 0x02u
#define FLAG_STOPPED 0x04u
#define FLAG_IN_SESSION 0x01u
#define POLICY_BYTES 16u
#define STAMP_US 10u

static void enqueue(eg_device *d, eg_frame *frame, uint8_t link, uint64_t now_us) {
    uint8_t raw[EG_FRAME_MAX];
    frame->system = (uint8_t)EG_SYSTEM_MCU;
    frame->component = (uint8_t)EG_COMPONENT;
    frame->link = link;
    const size_t length = eg_pack(frame, d->sequence, now_us / STAMP_US, &d->identity.keys, raw);
    if (length > ((size_t)EG_SEND_BUFFER - d->send_used)) {
        if (d->dropped < UINT16_MAX) {
            d->dropped++;
        }
        return;
    }
    d->sequence++;
    for (size_t i = 0u; i < length; i++) {
        d->send[(d->send_head + d->send_used) % EG_SEND_BUFFER] = raw[i];
        d->send_used++;
    }
}

size_t eg_device_take(eg_device *device, uint8_t *out, size_t room) {
    size_t taken = 0u;
    while ((taken < room) && (device->send_used > 0u)) {
        out[taken] = device->send[device->send_head % EG_SEND_BUFFER];
        device->send_head = (device->send_head + 1u) % EG_SEND_BUFFER;
        device->send_used--;
        taken++;
    }
    return taken;
}

static uint8_t flags_of(const eg_outputs *outputs) {
    uint32_t flags = EG_FLAG_ALWAYS;
    flags |= (outputs->degraded == 1u) ? FLAG_DEGRADED : 0u;
    flags |= (outputs->ready == 1u) ? FLAG_READY : 0u;
    flags |= (outputs->stopped == 1u) ? FLAG_STOPPED : 0u;
    return (uint8_t)flags;
}

static void copy(uint8_t *to, const uint8_t *from, uint32_t length) {
    for (uint32_t i = 0u; i < length; i++) {
        to[i] = from[i];
    }
}

void eg_send_hello(eg_device *device, uint64_t now_us) {
    eg_frame f = {.message = EG_HELLO, .length = (uint8_t)EG_HELLO_SIZE};
    copy(&f.payload[0], device->nonce, 8u);
    eg_store(&f.payload[8], 4u, EG_FIRMWARE);
    eg_store(&f.payload[12], 2u, eg_policy_table.lost_us / 1000u);
    eg_store(&f.payload[14], 2u, eg_policy_table.valid_max_ms);
    copy(&f.payload[16], eg_policy_table.digest, POLICY_BYTES);
    f.payload[32] = (uint8_t)EG_PROTOCOL;
    f.payload[33] = (uint8_t)EG_ACTUATORS;
    f.payload[34] = device->outputs.mode;
    f.payload[35] = (uint8_t)(EG_FLAG_ALWAYS | ((device->pair.state.session == 1u) ? FLAG_IN_SESSION : 0u));
    enqueue(device, &f, (uint8_t)EG_LINK_TO_HOST, now_us);
}

void eg_send_status(eg_device *device, uint8_t actuator, uint64_t now_us) {
    eg_frame f = {.message = EG_STATUS, .length = (uint8_t)EG_STATUS_SIZE};
    const uint64_t age = (now_us - device->heard_us) / 100u;
    device->sent++;
    copy(&f.payload[0], device->session, 8u);
    eg_store(&f.payload[8], 4u, device->sent);
    eg_store(&f.payload[12], 4u, now_us / 1000u);
    eg_store(&f.payload[16], 4u, device->accepted);
    eg_store(&f.payload[20], 4u, (uint32_t)device->outputs.value[actuator]);
    eg_store(&f.payload[24], 2u, (age > UINT16_MAX) ? UINT16_MAX : age);
    eg_store(&f.payload[26], 2u, device->rejected);
    eg_store(&f.payload[28], 2u, device->crc_errors);
    eg_store(&f.payload[30], 2u, device->dropped);
    f.payload[32] = device->outputs.mode;
    f.payload[33] = device->outputs.source;
    f.payload[34] = device->outputs.reason;
    f.payload[35] = device->refusal;
    f.payload[36] = actuator;
    f.payload[37] = device->outputs.latches;
    f.payload[38] = flags_of(&device->outputs);
    enqueue(device, &f, (uint8_t)EG_LINK_TO_HOST, now_us);
}

void eg_send_offer(eg_device *device, uint64_t now_us) {
    eg_frame f = {.message = EG_OFFER, .length = (uint8_t)EG_OFFER_SIZE};
    copy(&f.payload[0], device->session, 8u);
    eg_store(&f.payload[8], 4u, now_us / 1000u);
    eg_store(&f.payload[12], 4u, eg_policy_table.policy_hash);
    f.payload[16] = device->outputs.mode;
    f.payload[17] = device->outputs.reason;
    f.payload[18] = device->outputs.latches;
    f.payload[19] = flags_of(&device->outputs);
    enqueue(device, &f, (uint8_t)EG_LINK_TO_OPERATOR, now_us);
}
