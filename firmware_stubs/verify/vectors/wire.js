// Judges frames.json with node-mavlink: header, checksum, signature and fields of every frame that must be right, and
// that nothing else in the file is taken. Knows the dialect from derive.json; shares no code with our parsers.
"use strict";

const fs = require("fs");
const path = require("path");
const { MavLinkPacketSplitter, MavLinkPacketParser, MavLinkData, MavLinkPacketField } = require("node-mavlink");

const file = process.argv[2];
const frames = JSON.parse(fs.readFileSync(file, "ascii"));
const derive = JSON.parse(fs.readFileSync(path.join(path.dirname(file), "derive.json"), "ascii"));

const KINDS = { "8 bytes": ["uint8_t[]", 1, 8], "16 bytes": ["uint8_t[]", 1, 16], uint8: ["uint8_t", 1, 0],
    uint16: ["uint16_t", 2, 0], uint32: ["uint32_t", 4, 0], int32: ["int32_t", 4, 0] };

function classOf(row) {
    const kind = class extends MavLinkData {};
    kind.MSG_ID = row.number;
    kind.MSG_NAME = row.name;
    kind.PAYLOAD_LENGTH = row.payload_size;
    kind.MAGIC_NUMBER = row.crc_extra;
    kind.FIELDS = row.fields.map(({ name, offset, type }) => {
        const [code, size, length] = KINDS[type];
        return new MavLinkPacketField(name, name, offset, false, size, code, "", length);
    });
    return kind;
}

const classes = Object.fromEntries(derive.messages.map((row) => [row.number, classOf(row)]));
const magicNumbers = Object.fromEntries(derive.messages.map((row) => [row.number, row.crc_extra]));
const hex = (text) => Buffer.from(text, "hex");
const keyOf = (link) => (link < 2 ? hex(frames.keys.host) : link < 4 ? hex(frames.keys.operator) : null);
const plain = (value) => (Array.isArray(value) ? Buffer.from(value).toString("hex") : Number(value));

// What the page asks of a frame beyond MAVLink 2: signed, no other flag, exactly the message's size, a link with a key.
function isOurs({ header, signature }) {
    const kind = classes[header.msgid];
    return kind !== undefined && header.incompatibilityFlags === 1 && header.compatibilityFlags === 0 &&
        header.payloadLength === kind.PAYLOAD_LENGTH && signature !== null && keyOf(signature.linkId) !== null;
}

function told(packet) {
    const { header, protocol, payload, signature } = packet;
    const data = protocol.data(payload, classes[header.msgid]);
    const fields = Object.fromEntries(classes[header.msgid].FIELDS.map(({ name }) => [name, plain(data[name])]));
    return { number: header.msgid, system: header.sysid, component: header.compid, link: signature.linkId,
        payload: payload.subarray(0, header.payloadLength).toString("hex"), fields };
}

function read(bytes) {
    const found = [];
    const splitter = new MavLinkPacketSplitter({}, { magicNumbers });
    const parser = new MavLinkPacketParser();
    return new Promise((resolve, reject) => {
        splitter.pipe(parser).on("data", (packet) => found.push(packet)).on("end", () => resolve(found)).on("error", reject);
        splitter.end(bytes);
    });
}

const pick = ({ number, system, component, link, payload, fields }) => ({ number, system, component, link, payload, fields });

async function main() {
    const wrong = [];
    let right = 0;
    let all = 0;
    let refused = 0;
    for (const vector of frames.vectors) {
        const expected = vector.events.filter(({ event }) => event === "frame").map(pick);
        const packets = (await read(hex(vector.bytes))).filter(isOurs);
        const taken = packets.filter((packet) => packet.signature.matches(keyOf(packet.signature.linkId))).map(told);
        right += taken.length;
        all += expected.length;
        refused += packets.length - taken.length;
        // Its own resynchronisation differs from ours behind rubbish (it trusts a length that no message has), so a frame
        // may be missed there; whatever it takes must be ours, in our order, and alone or glued frames must all be found.
        const clean = vector.bytes.length / 2 === expected.reduce((sum, { payload }) => sum + 25 + payload.length / 2, 0);
        const texts = expected.map((frame) => JSON.stringify(frame));
        const within = taken.reduce((at, frame) => (at < 0 ? -1 : texts.indexOf(JSON.stringify(frame), at) + 1 || -1), 0);
        if (within < 0 || (clean && taken.length !== expected.length)) {
            wrong.push(vector.name);
        }
    }
    wrong.forEach((name) => console.log(`node-mavlink disagrees: ${name}`));
    console.log(`node-mavlink 2.3.0: ${frames.vectors.length} vectors, ${right} of ${all} right frames taken, ` +
        `${refused} with a bad signature refused, ${wrong.length} disagreements`);
    process.exitCode = wrong.length === 0 ? 0 : 5;
}

main();
