/* The policy's numbers as the one constant the firmware acts on.
 * The initialiser is generated (edgeguard/policy/emit_c.py); nothing may be written here by hand. */
#include "eg_core.h"

const eg_table eg_policy_table = EG_POLICY_TABLE;
