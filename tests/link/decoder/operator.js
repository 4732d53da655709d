// The operator's end of the line: answers offers with what a person asked for. Written from
// docs/reference/link-protocol.md alone. Times are µs of the operator's clock.
"use strict";

(function (link) {
    const { Parser, pack, unhex, unlittle } = link;
    const PENDING_US = 2000000;
    const ENABLED = 1, READY = 2, PRESSED = 4;
    const ACTIONS = { arm: 2, disarm: 3, release: 4 };
    const ORDER = ["disarm", "release", "arm"];
    const DONE = {
        disarm: (offer) => offer.mode !== ENABLED,
        release: (offer) => offer.latches === 0,
        arm: (offer) => offer.mode === ENABLED,
    };
    const ASKED = {
        disarm: () => true,
        release: (offer) => (offer.flags & PRESSED) === 0,
        arm: (offer) => (offer.flags & READY) !== 0 && offer.latches === 0,
    };

    class Operator {
        constructor(table, key) {
            this.policy_hash = unlittle(link.sha256(unhex(table.policy_file)).slice(0, 4));
            this.keys = { host: null, operator: key };
            this.parser = new Parser(this.keys);
            this.newest = null;
            this.counter = 0;
            this.pending = {};
            this.refused = this.crc_errors = this.sequence = 0;
            this.sent = [];
        }

        tick(now) {
            for (const what of ORDER) {
                if (what in this.pending && now - this.pending[what].at > PENDING_US) delete this.pending[what];
            }
        }

        // A person asks for `what`: arm, release, disarm.
        ask(now, what) {
            const latches = this.newest === null ? 0 : this.newest.latches;
            if (what === "arm") delete this.pending.disarm;
            else delete this.pending.arm;
            if (what === "release" && latches === 0) return;
            this.pending[what] = { at: now, latches };
        }

        receive(now, bytes) {
            this.tick(now);
            for (const event of this.parser.feed(bytes)) {
                if (event.event === "bad-checksum") this.crc_errors += 1;
                else if (event.event === "bad-signature" || !this.take(event)) this.refused += 1;
                else this.answer(now, event.fields);
            }
        }

        take(frame) {
            const offer = frame.fields;
            const right = frame.message === "OFFER" && frame.system === 1 && frame.component === 1 && frame.link === 3;
            if (!right || offer.flags < 0x80 || offer.policy_hash !== this.policy_hash) return false;
            if (this.newest === null || offer.session !== this.newest.session) {
                this.counter = 0;
                delete this.pending.release;
                if (this.newest !== null) delete this.pending.arm;
            } else if ((offer.mcu_ms - this.newest.mcu_ms + 2 ** 32) % 2 ** 32 >= 2 ** 31) return false;
            this.newest = offer;
            return true;
        }

        answer(now, offer) {
            for (const what of ORDER) {
                if (what in this.pending && DONE[what](offer)) delete this.pending[what];
            }
            if ("release" in this.pending && offer.latches & ~this.pending.release.latches) delete this.pending.release;
            const what = ORDER.find((one) => one in this.pending && ASKED[one](offer));
            const counter = Math.max(this.counter + 1, offer.mcu_ms);
            if (what === undefined || counter >= 2 ** 32) return;
            this.counter = counter;
            this.send(now, {
                session: offer.session, counter, mcu_ms_echo: offer.mcu_ms, policy_hash: offer.policy_hash, value: 0,
                valid_ms: 100, data_id: 0xe600, source: 2, actuator: 0, action: ACTIONS[what], flags: 0x80,
            });
        }

        send(now, fields) {
            const time = Math.floor(now / 10) % 2 ** 48;
            const rest = { link: 2, system: 255, component: 1, sequence: this.sequence, time, fields };
            this.sent.push(pack({ message: "COMMAND", ...rest }, this.keys));
            this.sequence = (this.sequence + 1) % 256;
        }
    }

    Object.assign(link, { Operator });
})((globalThis.edgeguardLink = globalThis.edgeguardLink || {}));
