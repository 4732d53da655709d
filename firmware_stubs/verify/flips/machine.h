/* The mps2-an385 board around an emulated Cortex-M3, as one value: processor in machine.c, devices in devices.c.
 * Time is counted in executed instructions (25 a microsecond) and sleep: the same run always gives the same bytes.
 * A rig, built and driven by hil/flips_machine.py; nothing here is part of the firmware. */
#ifndef FL_MACHINE_H
#define FL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <unicorn/unicorn.h>

#define FL_CODE 0x400000u
#define FL_RAM_AT 0x20000000u
#define FL_RAM 0x10000u
#define FL_STACK 0x1000u /* at the bottom of the data */
#define FL_CYCLES 25u    /* a microsecond */
#define FL_ACTUATORS 16u
#define FL_REGISTERS 17u
#define FL_LINE 1024u /* bytes under way to the board */
#define FL_SENT 65536u
#define FL_LOG 65536u
#define FL_TRACE 64u
#define FL_SEGMENTS 1000000u
#define FL_NEVER UINT64_MAX

enum { FL_LINK, FL_SENSE, FL_UARTS }; /* that receive */
enum { FL_REGISTER, FL_PC, FL_FLAGS, FL_PRIMASK, FL_THUMB, FL_MEMORY, FL_STACKED }; /* fl_flip.kind */

typedef struct {
    uint64_t at;
    uint64_t byte;
} fl_byte;

typedef struct {
    uint64_t free; /* when the line is idle again */
    uint32_t control, interrupt, data, full;
    uint32_t head, used;
    fl_byte line[FL_LINE];
} fl_uart;

/* Everything of the board but memory and the processor's registers. Without padding: compared byte by byte. */
typedef struct {
    uint64_t instructions, slept;
    uint64_t counter_base, timer_at, watchdog_at;
    uint32_t level, stopped, nvic, nmi;
    uint32_t timer_control, timer_reload, timer_raw, prescale;
    uint32_t watchdog_open, watchdog_load, watchdog_control, watchdog_raw;
    uint32_t resets, faults, refused, overruns;
    int32_t output[FL_ACTUATORS];
    uint32_t waiting[FL_ACTUATORS];
    uint32_t driven[FL_ACTUATORS];
    fl_uart uart[FL_UARTS];
} fl_board;

/* A value that the output stage took, or (actuator FL_ACTUATORS) a reset. */
typedef struct {
    uint64_t us;
    uint32_t actuator;
    int32_t value;
} fl_change;

typedef struct {
    uint32_t kind, where, mask;
} fl_flip;

typedef struct {
    uint64_t from; /* instruction */
    uint64_t room;
} fl_segment;

typedef struct fl_machine fl_machine;

typedef struct {
    fl_machine *machine;
    uint32_t base;
} fl_device;

#define FL_DEVICES 8u

struct fl_machine {
    uc_engine *uc;
    uint8_t *code, *ram;
    const uint8_t *rooms; /* of code, a byte for two; null: nobody asks where instructions are executed */
    fl_device device[FL_DEVICES];
    fl_board board;
    fl_flip flip;
    uint64_t flip_at, until, due, at, last_block;
    uint32_t pc, why, masked, jump, invalid, leaving;
    uint32_t flipped, flip_pc, flip_address, flip_before, fault_pc, fault_from;
    uint32_t protected, gaps, gaps_made; /* eighths of the data that memory protection takes away, a bit each */
    uint32_t traced, sent_used, records_used, log_used, segments_used, room;
    uint32_t trace[FL_TRACE];
    fl_change log[FL_LOG];
    uint8_t sent[FL_SENT];
    uint8_t records[FL_SENT];
    fl_segment segments[FL_SEGMENTS];
};

typedef struct {
    fl_board board;
    uint32_t registers[FL_REGISTERS];
    uint32_t pc, log_used;
    uint8_t ram[FL_RAM];
} fl_snapshot;

/* machine.c: `image` is FL_CODE bytes from address 0, the provisioning page included. Null: the emulator failed. */
fl_machine *fl_new(const uint8_t *image, const uint8_t *rooms);
void fl_free(fl_machine *m);
void fl_poke(fl_machine *m, uint32_t address, uint32_t word);
void fl_run(fl_machine *m, uint64_t until_us);
void fl_arm(fl_machine *m, uint64_t at, uint32_t kind, uint32_t where, uint32_t mask);
fl_snapshot *fl_save(fl_machine *m);
void fl_load(fl_machine *m, const fl_snapshot *s);
int fl_same(fl_machine *m, const fl_snapshot *s, uint32_t used);
void fl_drop(fl_snapshot *s);

/* What the board knows of itself, in the order of `Facts` in hil/flips_machine.py. */
typedef struct {
    uint64_t instructions, us;
    uint32_t resets, faults, refused, overruns;
    uint32_t flipped, flip_pc, flip_address, flip_before;
    uint32_t log_used, segments_used, traced, records_used, fault_pc, fault_from, gaps;
} fl_facts_row;

/* view.c: each copies to `out`, which has room for all there can be, and returns how many. */
uint32_t fl_take(fl_machine *m, uint8_t *out);
uint32_t fl_take_records(fl_machine *m, uint8_t *out);
uint32_t fl_log(const fl_machine *m, fl_change *out);
uint32_t fl_segments(const fl_machine *m, fl_segment *out);
uint32_t fl_trace(const fl_machine *m, uint32_t *out);
int32_t fl_output(const fl_machine *m, uint32_t actuator);
void fl_facts(const fl_machine *m, fl_facts_row *out);

/* devices.c */
void fl_feed(fl_machine *m, uint32_t uart, const uint8_t *data, uint32_t length, uint64_t at_us);
uint64_t fl_now(const fl_machine *m);
void fl_map_devices(fl_machine *m);
void fl_reset_devices(fl_machine *m);
uint64_t fl_next_event(const fl_machine *m);
bool fl_settle(fl_machine *m); /* lets what is due happen; true: the watchdog resets the processor */
uint32_t fl_pending(const fl_machine *m); /* the exception of an interrupt that waits, or 0 */

#endif
