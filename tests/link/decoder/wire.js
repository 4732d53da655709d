// Frames of docs/reference/link-protocol.md: bytes, checksum, signature, the five messages, the parser. Written from
// that page alone: nothing of the package or the firmware may be looked at or copied here.
"use strict";

(function (link) {
    const START = 0xfd;
    const OVERHEAD = 25;
    const LONGEST = 39;

    const hex = (bytes) => Array.from(bytes, (b) => (b + 256).toString(16).slice(1)).join("");
    const unhex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));

    function join(...parts) {
        const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
        let at = 0;
        for (const part of parts) {
            all.set(part, at);
            at += part.length;
        }
        return all;
    }

    // `size` bytes of a whole number, little-endian; of a negative one its two's complement.
    function little(number, size) {
        const bytes = new Uint8Array(size);
        for (let i = 0; i < size; i++) {
            bytes[i] = ((number % 256) + 256) % 256;
            number = Math.floor(number / 256);
        }
        return bytes;
    }

    const unlittle = (bytes) => Array.from(bytes).reduceRight((sum, byte) => sum * 256 + byte, 0);

    const message = (name, number, extra, layout) => {
        let size = 0;
        const fields = layout.split(", ").map((entry) => {
            const [type, field] = entry.split(" ");
            const width = { u8: 1, u16: 2, u32: 4, i32: 4, b8: 8, b16: 16 }[type];
            size += width;
            return { name: field, type, width, offset: size - width };
        });
        return { name, number, extra, fields, size };
    };

    const MESSAGES = [
        message("HELLO", 52000, 120, "b8 mcu_nonce, u32 firmware, u16 lost_ms, u16 valid_max_ms, b16 policy, " +
            "u8 protocol, u8 actuators, u8 mode, u8 flags"),
        message("OPEN", 52001, 71, "b8 mcu_nonce, b8 host_nonce, b16 policy, u8 protocol, u8 flags"),
        message("COMMAND", 52002, 121, "b8 session, u32 counter, u32 mcu_ms_echo, u32 policy_hash, i32 value, " +
            "u16 valid_ms, u16 data_id, u8 source, u8 actuator, u8 action, u8 flags"),
        message("STATUS", 52003, 108, "b8 session, u32 counter, u32 mcu_ms, u32 counter_echo, i32 value, u16 age, " +
            "u16 rejected, u16 crc_errors, u16 dropped, u8 mode, u8 source, u8 reason, u8 refusal, u8 actuator, " +
            "u8 latches, u8 flags"),
        message("OFFER", 52004, 230, "b8 session, u32 mcu_ms, u32 policy_hash, u8 mode, u8 reason, u8 latches, " +
            "u8 flags"),
    ];
    const byNumber = (number) => MESSAGES.find((m) => m.number === number);
    const byName = (name) => MESSAGES.find((m) => m.name === name);

    // CRC-16/MCRF4XX.
    function crc(bytes) {
        let c = 0xffff;
        for (const byte of bytes) {
            c ^= byte;
            for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >> 1) ^ 0x8408 : c >> 1;
        }
        return c;
    }

    // Fields of byte strings are hex, of numbers are numbers.
    function encode(kind, fields) {
        const one = ({ name, type, width }) => (type[0] === "b" ? unhex(fields[name]) : little(fields[name], width));
        return join(...kind.fields.map(one));
    }

    function decode(kind, payload) {
        const fields = {};
        for (const f of kind.fields) {
            const bytes = payload.slice(f.offset, f.offset + f.width);
            const number = unlittle(bytes);
            if (f.type[0] === "b") fields[f.name] = hex(bytes);
            else fields[f.name] = f.type === "i32" ? number | 0 : number;
        }
        return fields;
    }

    const sign = (key, bytes) => link.sha256(join(key, bytes)).slice(0, 6);

    // `keys`: {host, operator}, each 32 bytes or null.
    const keyOf = (keys, number) => (number > 3 ? null : number < 2 ? keys.host : keys.operator);

    // One frame's bytes. `frame`: message (its name), system, component, link, sequence, time, fields.
    function pack(frame, keys) {
        const kind = byName(frame.message);
        const head = [START, kind.size, 1, 0, frame.sequence % 256, frame.system, frame.component];
        const counted = join(head, little(kind.number, 3), encode(kind, frame.fields));
        const sum = little(crc(join(counted.slice(1), [kind.extra])), 2);
        const signed = join(counted, sum, [frame.link], little(frame.time, 6));
        return join(signed, sign(keyOf(keys, frame.link), signed));
    }

    // Every byte is looked at, so that the time does not tell where two signatures differ.
    const same = (a, b) => a.reduce((different, byte, i) => different | (byte ^ b[i]), 0) === 0;

    // Of bytes from the line makes events, each with `event`: "bad-checksum", "bad-signature" or "frame". Without the
    // operator key frames of links 2 and 3 are handed on unjudged.
    class Parser {
        constructor(keys) {
            this.keys = keys;
            this.held = [];
        }

        feed(bytes) {
            const events = [];
            for (const byte of bytes) {
                this.held.push(byte);
                for (let event = this.look(); event; event = this.look()) events.push(event);
            }
            return events;
        }

        look() {
            const held = this.held;
            while (held.length && !this.plausible()) this.drop(1);
            if (held.length < 10 || held.length < OVERHEAD + held[1]) return null;
            const bytes = Uint8Array.from(held.slice(0, OVERHEAD + held[1]));
            const end = 10 + held[1];
            const kind = byNumber(unlittle(bytes.slice(7, 10)));
            if (crc(join(bytes.slice(1, end), [kind.extra])) !== unlittle(bytes.slice(end, end + 2))) {
                this.drop(1);
                return { event: "bad-checksum" };
            }
            this.drop(bytes.length);
            return this.judge(kind, bytes, end);
        }

        judge(kind, bytes, end) {
            const number = bytes[end + 2];
            const foreign = this.keys.operator === null && (number === 2 || number === 3);
            const key = keyOf(this.keys, number);
            if (!foreign && !(key && same(sign(key, bytes.slice(0, end + 9)), bytes.slice(end + 9)))) {
                return { event: "bad-signature" };
            }
            return {
                event: "frame", message: kind.name, number: kind.number, system: bytes[5], component: bytes[6],
                link: number, payload: hex(bytes.slice(10, end)), fields: decode(kind, bytes.slice(10, end)), bytes,
            };
        }

        plausible() {
            const held = this.held;
            if (held[0] !== START || (held.length > 1 && held[1] > LONGEST)) return false;
            if ((held.length > 2 && held[2] !== 1) || (held.length > 3 && held[3] !== 0)) return false;
            if (held.length < 10) return true;
            const kind = byNumber(unlittle(held.slice(7, 10)));
            return kind !== undefined && kind.size === held[1];
        }

        // Drops `count` bytes, and then what is in front of the next start byte.
        drop(count) {
            const next = this.held.indexOf(START, count);
            this.held.splice(0, next < 0 ? this.held.length : next);
        }
    }

    Object.assign(link, { MESSAGES, Parser, byName, crc, hex, join, little, pack, unhex, unlittle });
})((globalThis.edgeguardLink = globalThis.edgeguardLink || {}));
