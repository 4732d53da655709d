// Holds the decoder to tests/vectors/link/*.json as their README says. It may know the vectors' form, and nothing of
// what they expect that is not in them.
"use strict";

(function (link) {
    const { Host, Microcontroller, Operator, Parser, byName, crc, hex, join, pack, sha256, unhex, unlittle } = link;
    const MODES = ["silent", "enabled", "fallback_only", "lockout"];
    const TYPES = { u8: "uint8", u16: "uint16", u32: "uint32", i32: "int32", b8: "8 bytes", b16: "16 bytes" };
    const ROW = ["message", "number", "system", "component", "link", "payload", "fields"];

    // The same text for the same value, whatever the order of its keys.
    function text(value) {
        if (value === null || typeof value !== "object") return String(JSON.stringify(value));
        if (Array.isArray(value)) return `[${value.map(text).join()}]`;
        return `{${Object.keys(value).sort().map((key) => `${key}:${text(value[key])}`).join()}}`;
    }

    const keysOf = (file) => ({ host: unhex(file.keys.host), operator: unhex(file.keys.operator) });
    const differs = (what, is, want) => (text(is) === text(want) ? [] : [`${what}: ${text(is)}, not ${text(want)}`]);

    const derive = {
        crc: (row) => differs("crc", crc(unhex(row.bytes)), row.crc),
        messages: (row) => {
            const kind = byName(row.name);
            const fields = kind.fields.map((f) => ({ name: f.name, offset: f.offset, type: TYPES[f.type] }));
            const sum = crc(unhex(row.text));
            return [
                ...differs("number", kind.number, row.number),
                ...differs("payload_size", kind.size, row.payload_size),
                ...differs("CRC_EXTRA", kind.extra, row.crc_extra),
                ...differs("fields", fields, row.fields),
                ...differs("crc", sum, row.crc),
                ...differs("crc_extra", (sum & 255) ^ (sum >> 8), row.crc_extra),
            ];
        },
        signatures: (row) => {
            const digest = sha256(join(unhex(row.key), unhex(row.signed)));
            const keys = { host: unhex(row.key), operator: unhex(row.key) };
            const [event] = new Parser(keys).feed(unhex(row.frame));
            return [
                ...differs("crc", crc(join(unhex(row.counted), [row.crc_extra])), row.crc),
                ...differs("sha256", hex(digest), row.sha256),
                ...differs("signature", hex(digest.slice(0, 6)), row.signature),
                ...differs("frame", event && event.event, "frame"),
            ];
        },
        sessions: (row) => {
            const digest = hex(sha256(join(unhex(row.host_key), unhex(row.mcu_nonce), unhex(row.host_nonce))));
            return differs("session", [digest, digest.slice(0, 16)], [row.sha256, row.session]);
        },
        nonces: (row) => {
            const keys = { host: unhex(row.hashed.slice(0, 64)), operator: null };
            const mcu = new Microcontroller({ policy_file: "", actuators: [] }, keys);
            mcu.reset(0, unhex(row.seed));
            mcu.opened = row.opened;
            mcu.draw();
            return [
                ...differs("mcu_nonce", mcu.nonce, row.mcu_nonce),
                ...differs("hashed", hex(sha256(unhex(row.hashed))).slice(0, 16), row.mcu_nonce),
            ];
        },
        policies: (row) => {
            const digest = sha256(unhex(row.file));
            const is = [hex(digest), hex(digest.slice(0, 16)), unlittle(digest.slice(0, 4))];
            return differs("policy", is, [row.sha256, row.policy, row.policy_hash]);
        },
    };

    // In one piece and byte by byte; and what was packed again from the fields must be read as the same.
    function frames(vector, file) {
        const whole = new Parser(keysOf(file));
        const split = new Parser(keysOf(file));
        const bytes = unhex(vector.bytes);
        const pieces = Array.from(bytes).reduce((events, byte) => events.concat(split.feed([byte])), []);
        const found = differs("events", rows(whole.feed(bytes)), vector.events);
        found.push(...differs("events of pieces", rows(pieces), vector.events));
        for (const event of vector.events.filter((e) => e.event === "frame")) {
            const again = new Parser(keysOf(file)).feed(pack({ ...event, sequence: 0, time: 0 }, keysOf(file)));
            found.push(...differs("packed again", rows(again), [event]));
        }
        return found.concat(differs("held", whole.held.length, vector.held));
    }

    function rows(events) {
        return events.map((e) => {
            const row = { event: e.event };
            if (e.event === "frame") ROW.forEach((key) => (row[key] = e[key]));
            return row;
        });
    }

    // What an end sent, as the vectors write it.
    function taken(end, file) {
        const parser = new Parser(keysOf(file));
        const sent = end.sent.map((bytes) => {
            const [event] = parser.feed(bytes);
            const { message, system, component, link: number, fields } = event;
            return { message, system, component, link: number, fields };
        });
        end.sent = [];
        return sent;
    }

    function fits(want, is) {
        const agrees = (key) => (key === "fields" ? fits(want[key], is[key]) : text(want[key]) === text(is[key]));
        return Object.keys(want).every(agrees);
    }

    function microcontroller(vector, file) {
        const mcu = new Microcontroller(file.table, keysOf(file));
        const found = [];
        let now = null;
        let nonces = [];
        for (const [number, step] of vector.steps.entries()) {
            const at = step.at_ms * 1000;
            if (now === null) now = at;
            while (now < at) mcu.step((now += 1000));
            const results = [];
            if (step.do === "reset") {
                mcu.reset(now, unhex(step.seed));
                nonces = step.nonces;
            } else if (step.do === "receive") results.push(...received(mcu, now, step));
            else if (step.do === "damage") mcu.core.damaged = true;
            else if (step.do !== "wait") mcu.closed = step.do === "let-go-of-stop";
            results.push(...differs("nonce", mcu.nonce, nonces[mcu.opened]), ...shown(mcu, step), ...sentSome(mcu, step, file));
            mcu.sent = [];
            found.push(...results.map((result) => `step ${number}: ${result}`));
        }
        return found;
    }

    function received(mcu, now, step) {
        const before = [mcu.rejected, mcu.crc_errors];
        mcu.receive(now, unhex(step.bytes));
        const refused = mcu.rejected - before[0];
        const is = [refused, refused ? mcu.refusal : 0, mcu.crc_errors - before[1]];
        return differs(`${step.what}: refused, refusal, crc_errors`, is, [step.refusal ? 1 : 0, step.refusal, step.crc_errors || 0]);
    }

    function shown(mcu, step) {
        const { mode, reason, latches } = mcu.core;
        const is = { mode: MODES[mode], reason, latches, ready: (mcu.core.flags() & 2) !== 0 };
        return Object.keys(is).flatMap((key) => (key in step ? differs(key, is[key], step[key]) : []));
    }

    function sentSome(mcu, step, file) {
        if (!("sent" in step || "not_sent" in step || "counts" in step)) return [];
        const found = [];
        const sent = taken(mcu, file);
        for (const want of step.sent || []) {
            if (!sent.some((one) => fits(want, one))) found.push(`not sent: ${text(want)}`);
        }
        for (const message of step.not_sent || []) {
            if (sent.some((one) => one.message === message)) found.push(`sent: ${message}`);
        }
        for (const [message, [least, most]] of Object.entries(step.counts || {})) {
            const count = sent.filter((one) => one.message === message).length;
            if (count < least || count > most) found.push(`${message}: ${count}, not ${least} to ${most}`);
        }
        return found;
    }

    function arrived(end, now, step) {
        const before = [end.refused, end.crc_errors];
        end.receive(now, unhex(step.bytes));
        const is = [end.refused - before[0], end.crc_errors - before[1]];
        return differs(`${step.what}: refused, crc_errors`, is, [step.accepted ? 0 : 1, step.crc_errors || 0]);
    }

    function host(vector, file) {
        const end = new Host(file.table, keysOf(file).host, file.host_nonces, 100);
        return sequence(end, vector, (now, step) => {
            const found = step.do === "receive" ? arrived(end, now, step) : [];
            if (step.do === "command") end.command(now, step.values, step.source);
            if (step.do === "disarm") end.disarm(now);
            if (step.do === "count") end.counter = step.counter;
            if (step.do === "relay") {
                const before = end.refused;
                end.relay(now, unhex(step.bytes));
                found.push(...differs("relayed", end.sent.map(hex).join(""), step.relayed));
                const refused = step.accepted === false ? 1 : 0;
                if ("accepted" in step) found.push(...differs("refused", end.refused - before, refused));
                end.sent = [];
            }
            if ("state" in step) found.push(...differs("state", end.state, step.state));
            if ("handed_on" in step) {
                found.push(...differs("handed on", end.handedOn.map(hex), step.handed_on));
                end.handedOn = [];
            }
            return found.concat(sentAll(end, step, file));
        });
    }

    function operator(vector, file) {
        const end = new Operator(file.table, keysOf(file).operator);
        return sequence(end, vector, (now, step) => {
            const found = step.do === "receive" ? arrived(end, now, step) : [];
            if (!["receive", "wait"].includes(step.do)) end.ask(now, step.do);
            return found.concat(sentAll(end, step, file));
        });
    }

    function sequence(end, vector, act) {
        return vector.steps.flatMap((step, number) => {
            end.tick(step.at_ms * 1000);
            return act(step.at_ms * 1000, step).map((result) => `step ${number}: ${result}`);
        });
    }

    const sentAll = (end, step, file) => ("sent" in step ? differs("sent", taken(end, file), step.sent) : []);

    const JUDGES = { ...derive, vectors: frames, microcontroller, host, operator };

    // The differences, as texts, between the decoder and vector `index` of `list` in `file`; none is agreement.
    link.judge = (file, list, index) => JUDGES[list](file[list][index], file);
    link.lists = (file) => Object.keys(file).filter((key) => key in JUDGES);
})((globalThis.edgeguardLink = globalThis.edgeguardLink || {}));
