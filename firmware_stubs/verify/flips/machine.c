/* The processor: interrupts and faults, sleep, one flip at an exact instruction, copies of everything. See machine.h.
 * An interrupt is taken between two basic blocks, so that no IT block is torn. Code is never written and data never run,
 * as the memory protection of the board has it; a fault stops the processor, and the watchdog resets it. */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#define NOWHERE 0xF0000000u /* no code: where a run never ends */
#define EXCEPTION_RETURN 0xFFFFFFF9u
#define EXCEPTION_EXIT 8u /* the emulator's number for a jump there */
#define FRAME 32u         /* bytes that an exception pushes */
#define FRAME_PADDED 0x200u
#define HARD_FAULT 3u
#define STATUS 0xFE00FC00u
#define THUMB 0x01000000u
#define SPIN 0xE7FEu /* `b .` */
#define WFI 0xBF30u
#define EIGHTH (FL_RAM / 8u)

enum { THREAD, INTERRUPT, FAULT };   /* fl_board.level */
enum { RUNNING, STOPPED, SPINNING }; /* fl_machine.why */

static const int REGISTERS[FL_REGISTERS] = {
    UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2,  UC_ARM_REG_R3,  UC_ARM_REG_R4,  UC_ARM_REG_R5,
    UC_ARM_REG_R6, UC_ARM_REG_R7, UC_ARM_REG_R8,  UC_ARM_REG_R9,  UC_ARM_REG_R10, UC_ARM_REG_R11,
    UC_ARM_REG_R12, UC_ARM_REG_SP, UC_ARM_REG_LR, UC_ARM_REG_XPSR, UC_ARM_REG_PRIMASK};

static uint32_t word_at(const fl_machine *m, uint32_t address) {
    uint32_t value;
    memcpy(&value, &m->code[address], sizeof value);
    return value;
}

static uint32_t get(fl_machine *m, int id) {
    uint32_t value = 0u;
    uc_reg_read(m->uc, id, &value);
    return value;
}

/* Of the program status: flags and IT block. */
static void set(fl_machine *m, int id, uint32_t value) {
    const uint32_t whole = (value & STATUS) | THUMB;
    uc_reg_write(m->uc, id, (id == UC_ARM_REG_XPSR) ? &whole : &value);
}

static void reset(fl_machine *m) {
    m->board.level = THREAD;
    m->board.stopped = 0u;
    fl_reset_devices(m);
    for (uint32_t i = 0u; i < FL_REGISTERS; i++) {
        set(m, REGISTERS[i], 0u);
    }
    set(m, UC_ARM_REG_SP, word_at(m, 0u));
    set(m, UC_ARM_REG_LR, 0xFFFFFFFFu);
    m->pc = word_at(m, 4u) & ~1u;
}

/* ---- exceptions ------------------------------------------------------------------------------------------------ */

static const int PUSHED[5] = {UC_ARM_REG_R0, UC_ARM_REG_R1, UC_ARM_REG_R2, UC_ARM_REG_R3, UC_ARM_REG_R12};

/* Whether an exception's frame fits there. */
static bool in_ram(const fl_machine *m, uint32_t address) {
    const bool inside = address >= FL_RAM_AT && address <= FL_RAM_AT + FL_RAM - FRAME;
    return inside && (m->gaps_made >> ((address - FL_RAM_AT) / EIGHTH) & 1u) == 0u;
}

static void enter(fl_machine *m, uint32_t number, uint32_t level) {
    const uint32_t sp = get(m, UC_ARM_REG_SP);
    const uint32_t to = (sp - FRAME) & ~7u;
    uint32_t frame[8];
    if (!in_ram(m, to)) { /* nothing can be pushed: the processor does nothing more */
        m->board.stopped = 1u;
        m->board.level = FAULT;
        return;
    }
    for (int i = 0; i < 5; i++) {
        frame[i] = get(m, PUSHED[i]);
    }
    frame[5] = get(m, UC_ARM_REG_LR);
    frame[6] = m->pc;
    frame[7] = (get(m, UC_ARM_REG_XPSR) & ~FRAME_PADDED) | (((sp & 4u) != 0u) ? FRAME_PADDED : 0u);
    memcpy(&m->ram[to - FL_RAM_AT], frame, sizeof frame);
    set(m, UC_ARM_REG_XPSR, frame[7] & 0xF8000000u); /* no handler begins in an IT block */
    set(m, UC_ARM_REG_SP, to);
    set(m, UC_ARM_REG_LR, EXCEPTION_RETURN);
    m->pc = word_at(m, 4u * number) & ~1u;
    m->board.level = level;
}

static void fault(fl_machine *m) {
    if (m->board.faults++ == 0u) {
        m->fault_pc = m->pc;
        m->fault_from = get(m, UC_ARM_REG_LR);
    }
    if (m->board.level == FAULT) {
        m->board.stopped = 1u;
    } else {
        enter(m, HARD_FAULT, FAULT);
    }
}

static void leave(fl_machine *m) {
    const uint32_t sp = get(m, UC_ARM_REG_SP);
    uint32_t frame[8];
    if (!in_ram(m, sp) || (sp & 3u) != 0u) {
        fault(m);
        return;
    }
    memcpy(frame, &m->ram[sp - FL_RAM_AT], sizeof frame);
    for (int i = 0; i < 5; i++) {
        set(m, PUSHED[i], frame[i]);
    }
    set(m, UC_ARM_REG_LR, frame[5]);
    set(m, UC_ARM_REG_XPSR, frame[7]);
    set(m, UC_ARM_REG_SP, sp + FRAME + (((frame[7] & FRAME_PADDED) != 0u) ? 4u : 0u));
    m->pc = frame[6] & ~1u;
    m->board.level = THREAD;
}

static void interrupt(fl_machine *m) {
    const uint32_t number = fl_pending(m);
    if (m->board.nmi && m->board.level != FAULT) {
        m->board.nmi = 0u;
        enter(m, 2u, FAULT);
    } else if (number != 0u && m->board.level == THREAD && get(m, UC_ARM_REG_PRIMASK) == 0u) {
        enter(m, number, INTERRUPT);
    }
}

/* ---- the flip -------------------------------------------------------------------------------------------------- */

static void flip_memory(fl_machine *m, uint32_t offset, uint32_t mask) {
    m->flip_address = FL_RAM_AT + offset;
    m->flip_before = m->ram[offset];
    for (uint32_t i = 0u; i < 4u && offset + i < FL_RAM; i++) {
        m->ram[offset + i] ^= (uint8_t)(mask >> (8u * i));
    }
}

/* `where` is a large number here: its remainder says which byte of what is on the stack now. */
static void flip_stacked(fl_machine *m, const fl_flip *f) {
    const uint32_t sp = get(m, UC_ARM_REG_SP) - FL_RAM_AT;
    if (sp < FL_STACK) {
        flip_memory(m, sp + f->where % (FL_STACK - sp), f->mask);
    }
}

static void flip_register(fl_machine *m, int id, uint32_t mask) {
    m->flip_before = get(m, id);
    set(m, id, m->flip_before ^ mask);
}

static void flip(fl_machine *m) {
    const fl_flip *f = &m->flip;
    m->flipped = 1u;
    m->flip_pc = (uint32_t)m->at;
    switch (f->kind) {
        case FL_MEMORY:
            flip_memory(m, f->where, f->mask);
            break;
        case FL_STACKED:
            flip_stacked(m, f);
            break;
        case FL_PC:
            m->pc = (uint32_t)m->at ^ f->mask;
            m->jump = 1u;
            uc_emu_stop(m->uc);
            break;
        case FL_THUMB: /* an invalid state for this processor: it faults at once */
            m->invalid = 1u;
            uc_emu_stop(m->uc);
            break;
        case FL_FLAGS:
            flip_register(m, UC_ARM_REG_XPSR, f->mask);
            break;
        case FL_PRIMASK:
            flip_register(m, UC_ARM_REG_PRIMASK, f->mask);
            break;
        default:
            flip_register(m, REGISTERS[f->where], f->mask);
            break;
    }
}

/* ---- hooks ----------------------------------------------------------------------------------------------------- */

static void each_instruction(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    fl_machine *m = user;
    (void)uc;
    (void)size;
    m->at = address;
    if (m->board.instructions++ == m->flip_at) {
        flip(m);
    }
}

static void each_block(uc_engine *uc, uint64_t address, uint32_t size, void *user) {
    fl_machine *m = user;
    const uint64_t last = m->last_block;
    m->last_block = address;
    if (m->flipped && m->traced < FL_TRACE) {
        m->trace[m->traced++] = (uint32_t)address;
    }
    if (m->rooms != NULL && address < FL_CODE && m->rooms[address / 2u] != m->room && m->segments_used < FL_SEGMENTS) {
        m->room = m->rooms[address / 2u];
        m->segments[m->segments_used++] = (fl_segment){m->board.instructions, m->room};
    }
    if (fl_now(m) >= m->due || (m->masked && get(m, UC_ARM_REG_PRIMASK) == 0u)) {
        m->why = STOPPED;
        uc_emu_stop(uc);
    } else if (size == 2u && address == last && address < FL_CODE && (uint16_t)word_at(m, (uint32_t)address) == SPIN) {
        m->why = SPINNING;
        uc_emu_stop(uc);
    }
}

static bool each_invalid(uc_engine *uc, uc_mem_type type, uint64_t address, int size, int64_t value, void *user) {
    (void)uc;
    (void)type;
    (void)address;
    (void)size;
    (void)value;
    (void)user;
    return false;
}

static void each_exception(uc_engine *uc, uint32_t number, void *user) {
    fl_machine *m = user;
    const bool expected = number == EXCEPTION_EXIT && m->board.level == INTERRUPT;
    m->leaving = expected ? 1u : 0u;
    m->invalid = expected ? 0u : 1u;
    uc_emu_stop(uc);
}

/* ---- running --------------------------------------------------------------------------------------------------- */

static bool asleep(const fl_machine *m) {
    const bool wfi = m->pc >= 2u && m->pc < FL_CODE - 2u && (uint16_t)word_at(m, m->pc - 2u) == WFI;
    return m->why == RUNNING && wfi && fl_pending(m) == 0u && !m->board.nmi;
}

static void idle(fl_machine *m) {
    const uint64_t next = fl_next_event(m);
    m->board.slept += (next > fl_now(m)) ? next - fl_now(m) : 0u;
}

static void after(fl_machine *m, uc_err error) {
    if (m->jump) {
        m->jump = 0u;
        return; /* the flip has said where to go on */
    }
    m->pc = get(m, UC_ARM_REG_PC) & ~1u;
    if (m->leaving) {
        m->leaving = 0u;
        leave(m);
    } else if (m->invalid || error != UC_ERR_OK) {
        m->invalid = 0u;
        fault(m);
    } else if (m->why == SPINNING || asleep(m)) {
        idle(m);
    }
}

/* Takes the eighths of the data away that the firmware asks for. A reset gives them back, but nothing looks there before
 * the firmware asks again. */
static void protect(fl_machine *m) {
    for (uint32_t i = 0u; i < 8u; i++) {
        if ((m->gaps & ~m->gaps_made) >> i & 1u) {
            uc_mem_protect(m->uc, FL_RAM_AT + i * EIGHTH, EIGHTH, UC_PROT_NONE);
        }
    }
    m->gaps_made |= m->gaps;
}

/* Runs until `until_us` since power on. */
void fl_run(fl_machine *m, uint64_t until_us) {
    m->until = until_us * FL_CYCLES;
    while (fl_now(m) < m->until) {
        if (fl_settle(m)) {
            reset(m);
        }
        if (m->gaps != m->gaps_made) {
            protect(m);
        }
        interrupt(m);
        m->due = fl_next_event(m);
        if (m->board.stopped) {
            idle(m);
            continue;
        }
        m->masked = (fl_pending(m) != 0u && m->board.level == THREAD); /* PRIMASK holds it back */
        m->why = RUNNING;
        m->last_block = FL_NEVER;
        after(m, uc_emu_start(m->uc, m->pc | 1u, NOWHERE, 0u, 0u));
    }
}

static uc_err hook(fl_machine *m, int type, void *function) {
    uc_hook added;
    return uc_hook_add(m->uc, &added, type, function, m, 1, 0);
}

fl_machine *fl_new(const uint8_t *image, const uint8_t *rooms) {
    fl_machine *m = calloc(1u, sizeof *m);
    if (m == NULL || uc_open(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS, &m->uc) != UC_ERR_OK) {
        free(m);
        return NULL;
    }
    uc_ctl_set_cpu_model(m->uc, UC_CPU_ARM_CORTEX_M3);
    m->code = aligned_alloc(0x1000u, FL_CODE);
    m->ram = aligned_alloc(0x1000u, FL_RAM);
    memcpy(m->code, image, FL_CODE);
    memset(m->ram, 0, FL_RAM);
    int error = (int)uc_mem_map_ptr(m->uc, 0u, FL_CODE, UC_PROT_READ | UC_PROT_EXEC, m->code);
    error |= (int)uc_mem_map_ptr(m->uc, FL_RAM_AT, FL_RAM, UC_PROT_READ | UC_PROT_WRITE, m->ram);
    fl_map_devices(m);
    error |= (int)hook(m, UC_HOOK_CODE, (void *)each_instruction);
    error |= (int)hook(m, UC_HOOK_BLOCK, (void *)each_block);
    error |= (int)hook(m, UC_HOOK_MEM_INVALID, (void *)each_invalid);
    error |= (int)hook(m, UC_HOOK_INTR, (void *)each_exception);
    m->flip_at = FL_NEVER;
    m->rooms = rooms;
    reset(m);
    if (error != 0) {
        fl_free(m);
        return NULL;
    }
    return m;
}

void fl_free(fl_machine *m) {
    uc_close(m->uc);
    free(m->code);
    free(m->ram);
    free(m);
}

/* Writes a word of data, as whoever starts the board may. */
void fl_poke(fl_machine *m, uint32_t address, uint32_t word) {
    memcpy(&m->ram[address - FL_RAM_AT], &word, sizeof word);
}

/* Plans the one flip of this run, for the instruction with this number. `where`: a register's place in REGISTERS, or an
 * offset in memory. */
void fl_arm(fl_machine *m, uint64_t at, uint32_t kind, uint32_t where, uint32_t mask) {
    m->flip = (fl_flip){kind, where, mask};
    m->flip_at = at;
}

/* ---- copies of everything -------------------------------------------------------------------------------------- */

fl_snapshot *fl_save(fl_machine *m) {
    fl_snapshot *s = malloc(sizeof *s);
    memcpy(s->ram, m->ram, FL_RAM);
    s->board = m->board;
    s->pc = m->pc;
    s->log_used = m->log_used;
    for (uint32_t i = 0u; i < FL_REGISTERS; i++) {
        s->registers[i] = get(m, REGISTERS[i]);
    }
    return s;
}

void fl_load(fl_machine *m, const fl_snapshot *s) {
    memcpy(m->ram, s->ram, FL_RAM);
    m->board = s->board;
    m->pc = s->pc;
    m->log_used = s->log_used;
    m->flip_at = FL_NEVER;
    m->flipped = m->traced = m->sent_used = m->records_used = 0u;
    m->flip_pc = m->flip_address = m->flip_before = m->fault_pc = m->fault_from = 0u;
    for (uint32_t i = 0u; i < FL_REGISTERS; i++) {
        set(m, REGISTERS[i], s->registers[i]);
    }
}

/* Whether the machine is exactly as in the snapshot, but for what lies below the stack. `used`: bytes of memory. */
int fl_same(fl_machine *m, const fl_snapshot *s, uint32_t used) {
    bool same = m->pc == s->pc && memcmp(&m->board, &s->board, sizeof m->board) == 0;
    for (uint32_t i = 0u; same && i < FL_REGISTERS; i++) {
        same = get(m, REGISTERS[i]) == s->registers[i];
    }
    const uint32_t sp = s->registers[13] - FL_RAM_AT;
    return same && sp < used && memcmp(&m->ram[sp], &s->ram[sp], used - sp) == 0;
}

void fl_drop(fl_snapshot *s) {
    free(s);
}
