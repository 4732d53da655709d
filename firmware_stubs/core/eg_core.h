/* The safety microcontroller's decision: who acts, and which value each actuator gets now.
 * Pure C11: no hardware, no allocation, no recursion, no parsing, no clock; time and inputs are arguments.
 * Nothing here may trust its caller: every input is checked again, and a bad one can only remove authority. */
#ifndef EG_CORE_H
#define EG_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "policy_table.h" /* generated from the policy: EG_ACTUATORS, EG_*_ROOM, EG_POLICY_TABLE */

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
    EG_DISARM = 3,  /* the host, or the operator, gives the host's authority up */
    EG_RELEASE = 4, /* the operator has seen why something latched, and releases it */
    EG_OPENED = 5   /* the link layer opened a new session; never on the wire */
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
    EG_KEY_REFUSED = 8,
    EG_STOPPED = 9,       /* the emergency stop */
    EG_FEEDBACK_LOST = 10, /* an actuator's measured position is missing, stale or impossible */
    EG_RESET = 11         /* a reset that nobody asked for: it came while the host had authority */
} eg_reason;

/* What keeps the host from being armed until the operator releases it: bits of `latches`. They survive a reset. */
#define EG_LATCH_STOP 0x01u     /* the emergency stop was pressed */
#define EG_LATCH_FEEDBACK 0x02u /* a measured position was lost while the host had authority */
#define EG_LATCH_MEMORY 0x04u   /* damaged memory was found */
#define EG_LATCH_RESET 0x08u    /* reset while the host had authority */
#define EG_LATCHES 0x0Fu

/* Why one request was refused. Codes 16 and up belong to the link layer (link/eg_device.h). */
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
    EG_NO_SESSION = 9,
    EG_LATCHED = 10,      /* release first */
    EG_STOP_PRESSED = 11, /* nothing is released while it is */
    EG_NOT_ALLOWED = 12   /* the policy does not let this source act on this actuator */
} eg_refusal;

/* ---- the table: generated, constant ---------------------------------------------------------------------------- */

/* Limits of one actuator: values in 1e-6 of its unit, rates in 1e-6 of its unit a second. */
typedef struct {
    int32_t min;
    int32_t max;
    int32_t rise;
    int32_t fall;
    int32_t safe;             /* where it goes when nothing else is known */
    int32_t lead;             /* while the host acts the output is at most this far from the measured position */
    uint32_t feedback_age_us; /* oldest measured position that counts; 0: this actuator measures none */
    uint8_t authority;        /* least restrictive source that may act on it: eg_source */
} eg_actuator;

/* One quantity that the board itself measures: no host between it and the rules below. */
typedef struct {
    int32_t min; /* a reading outside of min..max is a fault, not a reading */
    int32_t max;
    uint32_t max_age_us;
} eg_sensor;

typedef enum { EG_ABOVE = 0, EG_AT_LEAST = 1, EG_BELOW = 2, EG_AT_MOST = 3 } eg_relation;

typedef struct {
    int32_t limit; /* 1e-6 of the sensor's unit */
    uint8_t sensor;
    uint8_t relation; /* eg_relation */
} eg_term;

/* Holds when every term does; with a sensor at fault no term over it holds. Without terms it always holds. */
typedef struct {
    uint32_t terms;
    eg_term term[EG_TERMS_ROOM];
    int32_t value[EG_ACTUATORS];
} eg_rule;

typedef struct {
    uint8_t digest[32];    /* SHA-256 of the policy file */
    uint32_t policy_hash;  /* its first four bytes, little-endian: in every command */
    uint32_t degraded_us;  /* no command for this long: degraded, and not in time for arming */
    uint32_t lost_us;      /* no command for this long: the fallback acts */
    uint16_t valid_max_ms; /* no command is valid for longer, whatever it says */
    uint8_t arm_commands;  /* consecutive in-time commands an arm request needs, for every actuator */
    uint8_t stop;          /* 1: there is an emergency stop */
    uint32_t sensors;      /* how many of `sensor`, at most EG_SENSORS_ROOM */
    uint32_t rules;        /* how many of `rule`, at most EG_RULES_ROOM: the first that holds acts, else `safe` */
    eg_actuator actuator[EG_ACTUATORS];
    eg_sensor sensor[EG_SENSORS_ROOM];
    eg_rule rule[EG_RULES_ROOM];
} eg_table;

/* ---- inputs ---------------------------------------------------------------------------------------------------- */

/* One authenticated request. Zero-initialised, it is EG_NOTHING. */
typedef struct {
    uint8_t action;
    uint8_t source;
    uint8_t actuator;
    uint8_t by_operator; /* 1: signed with the operator's key, not the host's */
    uint16_t valid_ms;
    uint32_t age_ms; /* by the microcontroller's own clock */
    uint32_t policy_hash;
    int32_t value; /* 1e-6 of the actuator's unit */
} eg_request;

/* One measurement of the board's. Zero-initialised, there is none. */
typedef struct {
    uint64_t at_us; /* when it was taken, on the clock of `now_us` */
    int32_t value;  /* 1e-6 of the unit */
    uint8_t valid;  /* 1: yes, anything else: no */
} eg_reading;

/* What the board knows by itself. Zero-initialised: nothing measured, and the emergency stop pressed. */
typedef struct {
    eg_reading measured[EG_ACTUATORS]; /* where each actuator really is */
    eg_reading sensor[EG_SENSORS_ROOM];
    uint8_t stop_released; /* 1: the emergency stop's contact is closed; anything else, as a cut wire, is a stop */
} eg_senses;

typedef struct {
    eg_request request;
    eg_senses senses;
} eg_inputs;

/* ---- state and outputs: without padding, so that two copies can be compared byte by byte ------------------------- */

typedef struct {
    uint64_t heard_us; /* when its last command was accepted */
    int32_t target;
    int32_t output;
    uint8_t source;
    uint8_t in_time; /* consecutive in-time commands, saturating at the table's arm_commands */
    uint8_t spare[6]; /* always 0 */
} eg_channel;

typedef struct {
    uint64_t stepped_us; /* when the last step was; no step may be before it */
    uint64_t slewed_us;
    eg_channel channel[EG_ACTUATORS];
    uint8_t mode;
    uint8_t reason;
    uint8_t latches;
    uint8_t session; /* 0 or 1 */
    uint8_t spare[4]; /* always 0 */
} eg_state;

typedef struct {
    int32_t value[EG_ACTUATORS];
    uint8_t mode;
    uint8_t reason;
    uint8_t source;   /* whose command the outputs follow */
    uint8_t refusal;  /* what became of this step's request */
    uint8_t latches;
    uint8_t degraded; /* 0 or 1 */
    uint8_t ready;    /* 0 or 1: an arm request would be granted now */
    uint8_t stopped;  /* 0 or 1: the emergency stop is pressed */
} eg_outputs;

/* What survives a reset, in memory that a reset leaves alone: two records, written in turn, each with its own check. */
typedef struct {
    uint32_t turn;
    int32_t output[EG_ACTUATORS];
    uint8_t mode;
    uint8_t latches;
    uint8_t spare[2];
    uint32_t check;
} eg_record;

typedef struct {
    eg_record record[2];
} eg_retained;

extern const eg_table eg_policy_table;

/* State after a reset: SILENT. With sound `retained` memory the outputs begin where they were and the latches are as
 * they were; without (NULL, or damaged), every output is at its safe value. A table that is not sound locks out. */
void eg_init(const eg_table *table, eg_state *state, const eg_retained *retained, uint64_t now_us);

/* Writes what has to survive a reset: what one computation says, with the check of what the other says. Where they differ
 * the record is not sound, and the one before counts. */
void eg_retain(const eg_outputs *outputs, const eg_outputs *again, eg_retained *retained);

/* LOCKOUT until the next reset, for what the core cannot see itself (a refused key, two copies that differ).
 * `latches`: what the operator has to release after it. */
void eg_lock(eg_state *state, eg_reason reason, uint8_t latches);

/* One step. `now_us` is a free-running counter that never goes back. Call it at least every millisecond. */
eg_outputs eg_step(const eg_table *table, eg_state *state, const eg_inputs *inputs, uint64_t now_us);

#endif
