/* Retained memory as the core reads it. Part of the core, not an interface: boards use eg_core.h.
 * Nothing here may be acted on that does not carry its own check. */
#ifndef EG_RETAINED_H
#define EG_RETAINED_H

#include "eg_core.h"

/* The newest sound record; NULL: there is none, as after a loss of power. */
const eg_record *eg_latest(const eg_retained *retained);

#endif
