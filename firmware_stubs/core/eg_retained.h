/* Retained memory as the core reads it, and the boards' loop, which holds every output to it.
 * Nothing here may be acted on that does not carry its own check. */
#ifndef EG_RETAINED_H
#define EG_RETAINED_H

#include "eg_core.h"

/* The newest sound record; NULL: there is none, as after a loss of power. */
const eg_record *eg_latest(const eg_retained *retained);

#endif
