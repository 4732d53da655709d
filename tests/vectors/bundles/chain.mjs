// Certificates: the table of "Certificates" in docs/reference/bundle-format.md, over a small reader of DER.
// Not checked: text rules inside a name (only its bytes are compared), and the order of fields in unknown extensions.
import { createHash, createPublicKey, verify } from "node:crypto";
import { Refusal } from "./strictjson.mjs";

export const CURVES = {
  prime256v1: { hash: "sha256", oid: "2a8648ce3d040302", order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551" },
  secp384r1: {
    hash: "sha384", oid: "2a8648ce3d040303",
    order: "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  },
  secp521r1: {
    hash: "sha512", oid: "2a8648ce3d040304",
    order: "01ff" + "f".repeat(62) + "fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
  },
};
const [BASIC, USAGE, PURPOSE, NAMES, OWN, ABOVE, CONSTRAINTS] =
  ["551d13", "551d0f", "551d25", "551d11", "551d0e", "551d23", "551d1e"];
const CODE_SIGNING = "2b06010505070303";
const COMMON_NAME = "550403";
const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const malformed = (what) => new Refusal("certificate-malformed", what);
const unfit = (what) => new Refusal("certificate-unfit", what);

/** One DER element at `at`: tag, content, its own bytes and where the next begins. Lengths are the shortest. */
function element(data, at = 0) {
  if (at + 2 > data.length) throw malformed("cut short");
  let [length, start] = [data[at + 1], at + 2];
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size < 1 || size > 3 || start + size > data.length) throw malformed("bad length");
    length = data.readUIntBE(start, size);
    start += size;
    if (length < 0x80 || length < 2 ** (8 * (size - 1))) throw malformed("a length that is not the shortest");
  }
  if (start + length > data.length) throw malformed("cut short");
  return { tag: data[at], body: data.subarray(start, start + length), raw: data.subarray(at, start + length), end: start + length };
}

function elements(data) {
  const found = [];
  for (let at = 0; at < data.length; at = found.at(-1).end) found.push(element(data, at));
  return found;
}

function only(data, tag) {
  const one = element(data);
  if (one.end !== data.length || one.tag !== tag) throw malformed("not what it must be");
  return one.body;
}

function moment({ tag, body }) {
  const text = body.toString("latin1");
  const found = /^(\d{2,4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (!found || found[1].length !== (tag === 0x17 ? 2 : 4)) throw malformed("a date");
  const [year, month, ...rest] = found.slice(1).map(Number);
  const full = tag === 0x17 ? year + (year < 50 ? 2000 : 1900) : year;
  return Date.UTC(full, month - 1, ...rest) / 1000;
}

function extensions(wrapped) {
  const found = new Map();
  for (const each of wrapped ? elements(only(wrapped.body, 0x30)) : []) {
    const parts = elements(each.body);
    const oid = parts[0].body.toString("hex");
    if (found.has(oid) || parts.length < 2 || parts.length > 3) throw malformed("an extension twice, or of another form");
    found.set(oid, { critical: parts.length === 3 && parts[1].body[0] === 0xff, value: parts.at(-1).body });
  }
  return found;
}

export function parse(der) {
  if (der.length > 16384) throw malformed("above 16 KiB");
  const [tbs, algorithm, bits, ...more] = elements(only(der, 0x30));
  if (more.length || !bits || bits.tag !== 3) throw malformed("not three parts");
  if (bits.body[0] !== 0) throw unfit("a signature of half bytes");
  const fields = elements(tbs.body);
  const version = fields[0].tag === 0xa0 ? fields.shift() : null;
  const [serial, inner, issuer, validity, subject, spki, ...rest] = fields;
  if (!spki) throw malformed("fields are missing");
  if (serial.body.length === 0 || serial.body[0] & 0x80 || !serial.body.some((byte) => byte)) throw malformed("serial number");
  const found = extensions(rest.find((field) => field.tag === 0xa3));
  if (found.size && version?.body[2] !== 2) throw malformed("extensions without version 3");
  const [start, end] = elements(validity.body).map(moment);
  let key = null;
  try {
    key = createPublicKey({ key: spki.raw, format: "der", type: "spki" });
  } catch {
    // A key that nobody can read is unfit, like one of another kind: said where keys are checked.
  }
  const basic = found.has(BASIC) ? elements(only(found.get(BASIC).value, 0x30)) : [];
  return {
    der, tbs: tbs.raw, algorithm, inner, bits: bits.body.subarray(1), serial: serial.body, issuer: issuer.raw,
    subject: subject.raw, start, end, key, curve: CURVES[key?.asymmetricKeyDetails?.namedCurve],
    extensions: found, ca: basic[0]?.tag === 1 && basic[0].body[0] === 0xff,
    depth: basic.find((part) => part.tag === 2)?.body.readUIntBE(0, 1),
    usage: found.has(USAGE) ? (only(found.get(USAGE).value, 3)[1] ?? 0) : null,
  };
}

/** The names that a signer may be asked for: e-mail, DNS, URI; without alternative names its only common name. */
function identities(certificate) {
  if (certificate.extensions.has(NAMES)) {
    const all = elements(only(certificate.extensions.get(NAMES).value, 0x30));
    return all.filter((name) => [0x81, 0x82, 0x86].includes(name.tag)).map((name) => name.body.toString("utf8"));
  }
  const sets = elements(element(certificate.subject).body);
  const parts = sets.flatMap((set) => elements(set.body)).map((part) => elements(part.body));
  const common = parts.filter(([oid]) => oid.body.toString("hex") === COMMON_NAME).map(([, text]) => text.body.toString("utf8"));
  return common.length === 1 ? common : [];
}

function checkExtensions(certificate) {
  for (const [oid, { critical, value }] of certificate.extensions) {
    if (oid === CONSTRAINTS) throw unfit("name constraints");
    if (critical && ![BASIC, USAGE, PURPOSE, NAMES, OWN, ABOVE].includes(oid)) throw unfit("unknown critical extension");
    if (oid === PURPOSE) {
      const purposes = elements(only(value, 0x30)).map((one) => one.body.toString("hex"));
      if (!purposes.includes(CODE_SIGNING)) throw unfit("not for code signing");
    }
  }
}

function checkAuthority(certificate, below) {
  const { extensions: found, ca, depth, usage } = certificate;
  if (!ca || !found.get(BASIC).critical) throw unfit("an authority without critical basic constraints");
  if (usage === null || !(usage & 0x04)) throw unfit("an authority without keyCertSign");
  if (depth !== undefined && depth < below) throw unfit("path too long");
}

function checkIssued(certificate, issuer) {
  const body = element(certificate.algorithm.raw).body;
  const parts = elements(body);
  if (parts.length !== 1 || parts[0].body.toString("hex") !== issuer.curve.oid) throw unfit("signature algorithm");
  if (!certificate.algorithm.raw.equals(certificate.inner.raw)) throw unfit("two signature algorithms");
  const good = verify(issuer.curve.hash, certificate.tbs, issuer.key, certificate.bits);
  if (!good) throw new Refusal("certificate-untrusted", "its issuer did not sign it");
  if (!certificate.extensions.has(ABOVE)) return;
  const named = elements(only(certificate.extensions.get(ABOVE).value, 0x30));
  const own = issuer.extensions.has(OWN) ? only(issuer.extensions.get(OWN).value, 4) : null;
  for (const { tag, body: value } of named) {
    const directory = tag === 0xa1 ? element(value).body : null;
    const same = tag === 0x80 ? own === null || own.equals(value)
      : tag === 0x82 ? issuer.serial.equals(value) : directory.equals(issuer.issuer);
    if (!same) throw new Refusal("certificate-untrusted", "names another issuer");
  }
}

/** The same certificate with the other signature (r, n - s). */
function twin(certificate, issuer) {
  const [r, s] = elements(only(certificate.bits, 0x30));
  const other = (BigInt("0x" + issuer.curve.order) - BigInt("0x" + s.body.toString("hex"))).toString(16);
  let bytes = Buffer.from(other.length % 2 ? "0" + other : other, "hex");
  if (bytes[0] & 0x80) bytes = Buffer.concat([Buffer.of(0), bytes]);
  const wrap = (tag, ...parts) => {
    const body = Buffer.concat(parts);
    const size = body.length < 0x80 ? [body.length]
      : body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 255];
    return Buffer.concat([Buffer.of(tag, ...size), body]);
  };
  const bits = wrap(3, Buffer.of(0), wrap(0x30, r.raw, wrap(2, bytes)));
  return wrap(0x30, certificate.tbs, certificate.algorithm.raw, bits);
}

/** The path of a chain to one trusted root, all rules held. Returns what can be revoked and the signer's key. */
export function checkChain(ders, { root, identity }, now) {
  if (ders.length < 1 || ders.length > 8) throw malformed("1 to 8 certificates");
  const chain = ders.map(parse);
  const anchor = parse(root);
  const path = chain.at(-1).der.equals(root) ? chain : [...chain, anchor];
  for (const one of path) if (!one.curve) throw unfit("no EC key on a known curve");
  for (let i = 0; i + 1 < chain.length; i++) {
    if (!chain[i].issuer.equals(chain[i + 1].subject)) throw malformed("not one chain");
  }
  if (path !== chain && !chain.at(-1).issuer.equals(anchor.subject)) throw new Refusal("certificate-untrusted", "another root");
  const spkis = path.map((one) => one.key.export({ format: "der", type: "spki" }).toString("hex"));
  if (new Set(spkis).size !== path.length) throw malformed("a key twice");
  path.forEach(checkExtensions);
  const signer = path[0];
  if (signer.usage === null || !(signer.usage & 0x80) || signer.usage & 0x04 || signer.ca) throw unfit("the signer's usage");
  path.slice(1).forEach((one, below) => checkAuthority(one, below));
  for (let i = 0; i + 1 < path.length; i++) checkIssued(path[i], path[i + 1]);
  if (anchor.issuer.equals(anchor.subject)) checkIssued(anchor, anchor);
  if (identity && !identities(signer).includes(identity)) throw new Refusal("identity-mismatch", "for somebody else");
  for (const one of path) {
    if (now === null) throw new Refusal("clock-wrong", "the time is not known");
    if (now.exact && now.at < one.start) throw new Refusal("certificate-not-yet-valid", "not valid yet");
    if (now.at > one.end) throw new Refusal("certificate-expired", "not valid any more");
  }
  const rests = path.flatMap((one, i) => {
    const above = path[i + 1] ?? (one.issuer.equals(one.subject) ? one : null);
    return [sha256(one.der), keyDigest(one.key), ...(above ? [sha256(twin(one, above))] : [])];
  });
  return { key: signer.key, curve: signer.curve, rests };
}

export function keyDigest(key) {
  return sha256(key.export({ format: "pem", type: "spki" }));
}
