// The microcontroller's end of the line: session, counters, the checks in front of the core, what it sends and when.
// Written from docs/reference/link-protocol.md alone. Times are µs of its own clock.
"use strict";

(function (link) {
    const { Core, Parser, hex, join, little, ms, pack, unhex, unlittle } = link;
    const HELLO_US = 50000, HELLO_SESSION_US = 200000, STATUS_US = 20000, OFFER_US = 100000;
    const SET = 1, ARM = 2, DISARM = 3, RELEASE = 4;
    const FITS = { 0: [SET, DISARM], 2: [ARM, RELEASE, DISARM] };
    const u16 = (number) => Math.min(number, 65535);

    class Microcontroller {
        // `table` as in the vectors, `keys` {host, operator}. It must be reset before anything else.
        constructor(table, keys) {
            this.table = table;
            this.keys = keys;
            this.digest = link.sha256(unhex(table.policy_file));
            this.core = null;
            this.closed = true;
        }

        reset(now, seed) {
            this.core = new Core(this.table, unlittle(this.digest.slice(0, 4)), this.core);
            this.parser = new Parser(this.keys);
            this.seed = seed;
            this.opened = 0;
            this.session = null;
            this.sequence = 0;
            this.rejected = this.crc_errors = this.refusal = 0;
            this.counter = this.counter_echo = 0;
            this.last = { 0: 0, 2: 0 };
            this.next = { hello: now, status: now, offer: now };
            this.shown = "";
            this.sent = [];
            this.draw();
        }

        draw() {
            const hashed = join(this.keys.host, this.seed, little(this.opened, 8));
            this.nonce = hex(link.sha256(hashed).slice(0, 8));
        }

        receive(now, bytes) {
            for (const event of this.parser.feed(bytes)) {
                if (event.event === "bad-checksum") {
                    this.crc_errors = u16(this.crc_errors + 1);
                    continue;
                }
                const refusal = event.event === "frame" ? this.judge(now, event) : 16;
                if (refusal === 0) continue;
                this.refusal = refusal;
                this.rejected = u16(this.rejected + 1);
            }
        }

        judge(now, frame) {
            const fields = frame.fields;
            const way = `${frame.link} ${frame.message}`;
            if (frame.system !== 255 || frame.component !== 1) return 17;
            if (!["0 OPEN", "0 COMMAND", "2 COMMAND"].includes(way)) return 17;
            if (fields.flags !== 0x80) return 18;
            return frame.message === "OPEN" ? this.open(now, fields) : this.command(now, frame.link, fields);
        }

        open(now, fields) {
            if (fields.mcu_nonce !== this.nonce) return 19;
            if (fields.policy !== hex(this.digest.slice(0, 16))) return 1;
            if (fields.protocol !== 2) return 20;
            const secret = join(this.keys.host, unhex(fields.mcu_nonce), unhex(fields.host_nonce));
            this.session = hex(link.sha256(secret).slice(0, 8));
            this.opened += 1;
            this.draw();
            this.last = { 0: 0, 2: 0 };
            this.counter = this.counter_echo = 0;
            this.since = now;
            this.next = { hello: now + HELLO_SESSION_US, status: now, offer: now };
            return this.stepCore(now, () => this.core.open());
        }

        // A step of the core, which ends the session when it finds its memory damaged.
        stepCore(now, request) {
            const refusal = this.core.step(now, this.closed, request);
            if (!this.core.session) this.session = null;
            return refusal;
        }

        command(now, number, fields) {
            if (this.session === null || fields.session !== this.session) return 21;
            if (fields.counter <= this.last[number]) return 22;
            this.last[number] = fields.counter;
            if (fields.data_id !== 0xe600 + fields.actuator) return 23;
            if (![SET, ARM, DISARM, RELEASE].includes(fields.action)) return 5;
            if (!FITS[number].includes(fields.action)) return 24;
            const refusal = this.stepCore(now, () => this.core.command(fields));
            if (refusal === 0 && number === 0) {
                this.counter_echo = fields.counter;
                this.since = now;
            }
            return refusal;
        }

        // Time passed and nothing came: at least every ms.
        step(now) {
            this.stepCore(now, null);
            if (now >= this.next.hello) {
                this.next.hello = now + (this.session === null ? HELLO_US : HELLO_SESSION_US);
                this.send(now, "HELLO", 1, this.hello());
            }
            if (this.session !== null) this.report(now);
        }

        report(now) {
            const shown = `${this.core.mode} ${this.core.latches}`;
            if (shown !== this.shown) this.next.status = this.next.offer = now;
            this.shown = shown;
            if (now >= this.next.status) {
                this.next.status = now + STATUS_US;
                this.core.actuators.forEach((_, index) => this.send(now, "STATUS", 1, this.status(now, index)));
            }
            if (now >= this.next.offer) {
                this.next.offer = now + OFFER_US;
                this.send(now, "OFFER", 3, this.offer(now));
            }
        }

        send(now, message, number, fields) {
            const time = Math.floor(now / 10) % 2 ** 48;
            const frame = { message, link: number, system: 1, component: 1, sequence: this.sequence, time, fields };
            this.sent.push(pack(frame, this.keys));
            this.sequence = (this.sequence + 1) % 256;
        }

        hello() {
            return {
                mcu_nonce: this.nonce, firmware: 0, lost_ms: this.table.lost_ms, valid_max_ms: this.table.valid_max_ms,
                policy: hex(this.digest.slice(0, 16)), protocol: 2, actuators: this.table.actuators.length,
                mode: this.core.mode, flags: this.session === null ? 0x80 : 0x81,
            };
        }

        status(now, index) {
            this.counter += 1;
            const { mode, reason, latches } = this.core;
            return {
                session: this.session, counter: this.counter, mcu_ms: ms(now), counter_echo: this.counter_echo,
                value: this.core.actuators[index].value, age: u16(Math.floor((now - this.since) / 100)),
                rejected: this.rejected, crc_errors: this.crc_errors, dropped: 0, mode, source: this.core.source(),
                reason, refusal: this.refusal, actuator: index, latches, flags: this.core.flags(),
            };
        }

        offer(now) {
            const { mode, reason, latches, policy_hash } = this.core;
            const flags = this.core.flags();
            return { session: this.session, mcu_ms: ms(now), policy_hash, mode, reason, latches, flags };
        }
    }

    Object.assign(link, { Microcontroller });
})((globalThis.edgeguardLink = globalThis.edgeguardLink || {}));
