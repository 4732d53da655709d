/* The safety microcontroller's decision: who acts, and which value each actuator gets now.
 * Pure C11: no hardware, no allocation, no recursion, no parsing, no clock; time and inputs are arguments.
 * Nothing here may trust its caller: every input is checked again, and a bad one can only remove authority. */
#ifndef EG_CORE_H
#define EG_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy_table.h" /* generated from the policy: EG_ACTUATORS, EG_POLICY_TABLE */

#define EG_NO_LIMIT INT32_MAX        /* a rate without a limit */
#define EG_SLEW_GRAIN_US 1000u       /* outputs move at most this often, so that rounding loses < 1e-6 a step */
#define EG_SLEW_SPAN_MAX_US 50000u   /* a stalled core does not catch up with one leap */

typedef enum { EG_SILENT = 0, EG_ENABLED = 1, EG_FALLBACK_ONLY = 2, EG_LOCKOUT = 3 } eg_mode;

/* Ordered: of two sources the larger is the more restrictive. The numbers are those of `Authority` on the host. */
typedef enum { EG_MODEL = 0, EG_RULES = 1, EG_HUMAN = 2, EG_SAFE_STATE = 3 } eg_source;

typedef enum {
    EG_NOTHING = 0, /* time passes */
    EG_SET = 1,     /* a command for one actuator */
    EG_ARM = 2,     /* the operator allows the host to act */
    EG_DISARM = 3,  /* the host gives its authority up */
    EG_OPENED = 4   /* the link layer opened a new session; never on the wire */
} eg_action;

/* Why the mode is what it is. */
typedef enum {
    EG_BOOTED = 0,
    EG_ARMED = 1,
    EG_HOST_LOST = 2,
    EG_DISARMED = 3,
    EG_SESSION_REPLACED = 4,
    EG_POLICY_MISMATCH = 5,
    EG_TABLE_INVALID = 6,
    EG_STATE_INVALID = 7,
    EG_KEY_REFUSED = 8
} eg_reason;

/* Why one input was refused. Codes 16 and up belong to the link layer (link/eg_device.h). */
typedef enum {
    EG_ACCEPTED = 0,
    EG_NOT_THE_POLICY = 1,
    EG_TOO_OLD = 2,
    EG_NO_SUCH_SOURCE = 3,
    EG_NO_SUCH_ACTUATOR = 4,
    EG_NO_SUCH_ACTION = 5,
    EG_NOT_READY = 6,
    EG_NOT_THE_OPERATOR = 7,
    EG_LOCKED_OUT = 8,
    EG_NO_SESSION = 9
} eg_refusal;

/* Limits of one actuator: values in 1e-6 of its unit, rates in 1e-6 of its unit a second. */
typedef struct {
    int32_t min;
    int32_t max;
    int32_t rise;
    int32_t fall;
    int32_t safe; /* what the fallback ramps to */
} eg_actuator;

typedef struct {
    uint8_t digest[32];    /* SHA-256 of the policy file */
    uint32_t policy_hash;  /* its first four bytes, little-endian: in every command */
    uint32_t degraded_us;  /* no command for this long: degraded, and not in time for arming */
    uint32_t lost_us;      /* no command for this long: the fallback acts */
    uint16_t valid_max_ms; /* no command is valid for longer, whatever it says */
    uint8_t arm_commands;  /* consecutive in-time commands an arm request needs, for every actuator */
    eg_actuator actuator[EG_ACTUATORS];
} eg_table;

/* One authenticated input. Zero-initialised, it is EG_NOTHING. */
typedef struct {
    uint8_t action;
    uint8_t source;
    uint8_t actuator;
    uint16_t valid_ms;
    uint32_t age_ms; /* by the microcontroller's own clock */
    uint32_t policy_hash;
    int32_t value; /* 1e-6 of the actuator's unit */
} eg_inputs;

typedef struct {
    uint64_t heard_us; /* when its last command was accepted */
    int32_t target;
    int32_t output;
    uint8_t source;
    uint8_t in_time; /* consecutive in-time commands, saturating at the table's arm_commands */
} eg_channel;

typedef struct {
    uint64_t slewed_us;
    eg_channel channel[EG_ACTUATORS];
    uint8_t mode;
    uint8_t reason;
    bool session;
} eg_state;

typedef struct {
    int32_t value[EG_ACTUATORS];
    uint8_t mode;
    uint8_t reason;
    uint8_t source;  /* whose command the outputs follow */
    uint8_t refusal; /* what became of this step's input */
    bool degraded;
    bool ready; /* an arm request would be granted now */
} eg_outputs;

extern const eg_table eg_policy_table;

/* State after a reset: SILENT, every output at its safe value. A table that is not sound locks out. */
void eg_init(const eg_table *table, eg_state *state, uint64_t now_us);

/* LOCKOUT until the next reset, for what the core cannot see itself (a refused key). */
void eg_lock(eg_state *state, eg_reason reason);

/* One step. `now_us` is a free-running counter that never goes back. Call it at least every millisecond. */
eg_outputs eg_step(const eg_table *table, eg_state *state, const eg_inputs *inputs, uint64_t now_us);

#endif
