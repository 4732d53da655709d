// The host's end of the line, without the operator key: opens sessions, commands, relays for the operator. Written from
// docs/reference/link-protocol.md alone. Times are µs of the host's clock.
"use strict";

(function (link) {
    const { Parser, hex, join, pack, unhex, unlittle } = link;
    const AGAIN_US = 40000, LOST_US = 100000;
    const WAITING_OFFERS = 8, RELAYED = 4;
    const LAST_COUNTER = 0xffff0000;
    const SET = 1, DISARM = 3, SAFE_STATE = 3;

    class Host {
        // `table` as in the vectors; `key`: the host key; `nonces`: the nonces that it draws, as hex.
        constructor(table, key, nonces, valid_ms) {
            this.table = table;
            this.digest = link.sha256(unhex(table.policy_file));
            this.keys = { host: key, operator: null };
            this.nonces = nonces.slice();
            this.valid_ms = valid_ms;
            this.sequence = 0;
            this.refused = this.crc_errors = 0;
            this.answered = null;
            this.portVanished();
        }

        portVanished() {
            this.state = "waiting";
            this.fromLine = new Parser(this.keys);
            this.fromOperator = new Parser(this.keys);
            this.sent = [];
            this.handedOn = [];
            this.relays = 0;
        }

        // Lets time pass.
        tick(now) {
            const alive = this.state === "opening" || this.state === "open";
            if (alive && now - this.sign > LOST_US) this.state = "waiting";
        }

        receive(now, bytes) {
            this.tick(now);
            this.relays = 0;
            for (const event of this.fromLine.feed(bytes)) {
                if (event.event === "bad-checksum") this.crc_errors += 1;
                else if (event.event === "bad-signature" || !this.take(now, event)) this.refused += 1;
            }
        }

        // Whether an authentic frame, or one that it cannot judge, is one for this end.
        take(now, frame) {
            if (frame.link > 1) return this.handOn(frame);
            const right = frame.system === 1 && frame.component === 1 && frame.link === 1 && frame.fields.flags >= 0x80;
            if (right && frame.message === "HELLO") return this.hello(now, frame.fields);
            return right && frame.message === "STATUS" && this.status(now, frame.fields);
        }

        handOn(frame) {
            if (frame.link !== 3 || frame.message !== "OFFER") return false;
            this.handedOn = this.handedOn.concat([frame.bytes]).slice(-WAITING_OFFERS);
            return true;
        }

        hello(now, fields) {
            if (this.state === "open") return true;
            const ours = fields.protocol === 2 && fields.policy === hex(this.digest.slice(0, 16)) &&
                fields.actuators === this.table.actuators.length;
            if (!ours) {
                this.state = "mismatch";
                return true;
            }
            const again = this.state === "opening" && fields.mcu_nonce === this.answered;
            if (again && now - this.opened < AGAIN_US) return true;
            if (!again) this.begin(fields);
            this.state = "opening";
            this.opened = this.sign = now;
            this.send(now, "OPEN", {
                mcu_nonce: this.answered, host_nonce: this.nonce, policy: fields.policy, protocol: 2, flags: 0x80,
            });
            return true;
        }

        begin(fields) {
            this.answered = fields.mcu_nonce;
            this.nonce = this.nonces.shift();
            this.session = hex(link.sha256(join(this.keys.host, unhex(this.answered), unhex(this.nonce))).slice(0, 8));
            this.valid = Math.min(this.valid_ms, fields.valid_max_ms);
            this.counter = this.newest = 0;
        }

        status(now, fields) {
            const wanted = this.state === "opening" || this.state === "open";
            if (!wanted || fields.session !== this.session || fields.counter <= this.newest) return false;
            if (fields.actuator >= this.table.actuators.length) return false;
            this.state = "open";
            this.newest = fields.counter;
            this.echo = fields.mcu_ms;
            this.sign = now;
            return true;
        }

        // A control step: a value for each actuator in 1e-6 of its unit; what is no finite number is no value.
        command(now, values, source) {
            this.tick(now);
            if (this.state === "open" && this.counter > LAST_COUNTER) this.state = "waiting";
            this.table.actuators.forEach((limits, actuator) => {
                const value = values[actuator];
                const known = Number.isFinite(value);
                const wanted = known ? Math.round(Math.max(limits.min, Math.min(limits.max, value))) : limits.safe;
                this.ask(now, SET, actuator, wanted, known ? source : SAFE_STATE);
            });
        }

        disarm(now) {
            this.tick(now);
            this.ask(now, DISARM, 0, 0, SAFE_STATE);
        }

        ask(now, action, actuator, value, source) {
            if (this.state !== "open") return;
            this.counter += 1;
            this.send(now, "COMMAND", {
                session: this.session, counter: this.counter, mcu_ms_echo: this.echo,
                policy_hash: unlittle(this.digest.slice(0, 4)), value, valid_ms: this.valid, data_id: 0xe600 + actuator,
                source, actuator, action, flags: 0x80,
            });
        }

        // Bytes from the operator.
        relay(now, bytes) {
            this.tick(now);
            const found = [];
            for (const event of this.fromOperator.feed(bytes)) {
                if (event.event === "bad-checksum") this.crc_errors += 1;
                else if (event.link === 2 && event.message === "COMMAND") found.push(event.bytes);
                else this.refused += 1;
            }
            const room = this.state === "open" ? RELAYED - this.relays : 0;
            const taken = found.slice(Math.max(0, found.length - room));
            this.relays += taken.length;
            this.sent.push(...taken);
        }

        send(now, message, fields) {
            const time = Math.floor(now / 10) % 2 ** 48;
            const frame = { message, link: 0, system: 255, component: 1, sequence: this.sequence, time, fields };
            this.sent.push(pack(frame, this.keys));
            this.sequence = (this.sequence + 1) % 256;
        }
    }

    Object.assign(link, { Host });
})((globalThis.edgeguardLink = globalThis.edgeguardLink || {}));
