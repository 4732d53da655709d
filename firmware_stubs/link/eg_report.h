/* What the device says: HELLO, STATUS and OFFER, signed and queued. Part of the link, not an interface.
 * Reports what the core decided; decides nothing. */
#ifndef EG_REPORT_H
#define EG_REPORT_H

#include "eg_device.h"

void eg_send_hello(eg_device *device, uint64_t now_us);
void eg_send_status(eg_device *device, uint8_t actuator, uint64_t now_us);
void eg_send_offer(eg_device *device, uint64_t now_us);

#endif
