// What of the microcontroller's core shows on the line: modes, latches, ready, the checks from 6 on. Written from
// docs/reference/link-protocol.md alone. Times are µs of the microcontroller's clock.
"use strict";

(function (link) {
    const SILENT = 0, ENABLED = 1, FALLBACK_ONLY = 2, LOCKOUT = 3;
    const STOP = 1, MEMORY = 4, RESET = 8;
    const SET = 1, ARM = 2, RELEASE = 4;
    const HUMAN = 2, SAFE_STATE = 3;

    const ms = (now) => Math.floor(now / 1000) % 4294967296;

    class Core {
        // `table` as in the vectors; `policy_hash`: the table's; `before`: the core before a reset that keeps its
        // retained memory, null after a loss of power.
        constructor(table, policy_hash, before) {
            this.table = table;
            this.policy_hash = policy_hash;
            this.degraded = table.degraded_ms * 1000;
            this.lost = table.lost_ms * 1000;
            this.now = 0;
            this.session = false;
            this.pressed = false;
            this.damaged = false;
            const armed = before !== null && before.mode === ENABLED;
            this.mode = SILENT;
            this.reason = armed ? 11 : 0;
            this.latches = (before === null ? 0 : before.latches) | (armed ? RESET : 0);
            this.actuators = table.actuators.map((limits) => ({
                limits, heard: -Infinity, in_time: 0, target: limits.safe, value: limits.safe, source: SAFE_STATE,
            }));
        }

        // `request`: a function that gives 0 or a refusal; null where only time passed.
        step(now, closed, request) {
            const passed = now - this.now;
            this.now = now;
            this.pressed = this.table.stop && !closed;
            if (this.damaged) this.lockOut();
            this.takeAway();
            const refusal = request === null ? 0 : request();
            this.move(passed);
            return refusal;
        }

        // Begins anew from what a reset keeps, and then locks out.
        lockOut() {
            const anew = new Core(this.table, this.policy_hash, this);
            const mode = LOCKOUT, reason = 7, latches = anew.latches | MEMORY;
            Object.assign(this, anew, { now: this.now, pressed: this.pressed, mode, reason, latches });
        }

        takeAway() {
            if (this.pressed) {
                this.latches |= STOP;
                this.forget(9);
                if (this.mode === FALLBACK_ONLY) this.reason = 9;
            }
            if (this.mode === ENABLED && this.silent(this.lost)) this.forget(2);
        }

        // Every `in_time` = 0, and where `reason` is not null the authority goes.
        forget(reason) {
            this.actuators.forEach((a) => (a.in_time = 0));
            if (reason !== null && this.mode === ENABLED) {
                this.mode = FALLBACK_ONLY;
                this.reason = reason;
            }
        }

        silent(limit) {
            return this.actuators.some((a) => this.now - a.heard > limit);
        }

        // The page leaves movement to the core, and the vectors do not compare it: straight to where it should be,
        // no faster than the limits, from the safe value on.
        move(passed) {
            for (const a of this.actuators) {
                const goal = this.mode === ENABLED ? a.target : a.limits.safe;
                const limit = goal > a.value ? a.limits.rise : a.limits.fall;
                const most = limit === null ? Infinity : Math.floor((limit * passed) / 1000000);
                a.value += Math.max(-most, Math.min(most, goal - a.value));
            }
        }

        isReady() {
            return this.session && this.mode !== LOCKOUT && this.latches === 0 && !this.silent(this.degraded) &&
                this.actuators.every((a) => a.in_time === this.table.arm_commands);
        }

        // The flags of STATUS and OFFER.
        flags() {
            const degraded = this.mode === ENABLED && this.silent(this.degraded);
            return 0x80 | (degraded ? 1 : 0) | (this.isReady() ? 2 : 0) | (this.pressed ? 4 : 0);
        }

        source() {
            return this.mode === ENABLED ? Math.max(...this.actuators.map((a) => a.source)) : SAFE_STATE;
        }

        open() {
            this.session = true;
            this.forget(4);
            return 0;
        }

        // The checks from 6 on of a COMMAND's fields: 0, or the refusal.
        command(c) {
            const age = (ms(this.now) - c.mcu_ms_echo + 4294967296) % 4294967296;
            if (this.mode === LOCKOUT) return this.refuse(8, null);
            if (c.policy_hash !== this.policy_hash) return this.refuse(1, 5);
            if (age > c.valid_ms || age > this.table.valid_max_ms) return this.refuse(2, null);
            if (c.source > 3) return this.refuse(3, null);
            if (c.action === SET) return this.set(c);
            if (c.action === ARM) return this.arm(c);
            if (c.action === RELEASE) return this.release(c);
            this.forget(3);
            return 0;
        }

        refuse(code, reason) {
            this.forget(reason);
            return code;
        }

        set(c) {
            const a = this.actuators[c.actuator];
            if (a === undefined) return 4;
            if (c.source < a.limits.authority) return 12;
            if (this.now - a.heard > this.degraded) a.in_time = 0;
            a.in_time = Math.min(a.in_time + 1, this.table.arm_commands);
            a.heard = this.now;
            a.source = c.source;
            const wanted = c.source === SAFE_STATE ? a.limits.safe : c.value;
            a.target = Math.max(a.limits.min, Math.min(a.limits.max, wanted));
            return 0;
        }

        arm(c) {
            if (c.source !== HUMAN) return 7;
            if (this.latches !== 0) return 10;
            if (!this.isReady()) return 6;
            this.mode = ENABLED;
            this.reason = 1;
            return 0;
        }

        release(c) {
            if (c.source !== HUMAN) return 7;
            if (this.pressed) return 11;
            this.latches = 0;
            return 0;
        }
    }

    Object.assign(link, { Core, ms });
})((globalThis.edgeguardLink = globalThis.edgeguardLink || {}));
