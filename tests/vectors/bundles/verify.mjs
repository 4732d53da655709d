// A second verifier of edgeguard's bundles, written from docs/reference/bundle-format.md alone. It exists to find what
// the page does not say; nothing in edgeguard may call it. It does less than edgeguard: onnx.mjs, manifest.mjs and
// chain.mjs say what they leave out; here it is Sigstore signatures (refused as `unsupported`), attestations that a
// policy asks for, archives, and pickles beyond their names and first bytes.
//
//   node verify.mjs PATH [--key K.pub]... [--second K.pub] [--root R.pem --identity NAME] [--now 2026-11-01T00:00:00Z]
//                        [--floor N] [--pin HEX] [--role ROLE]
//   node verify.mjs --vectors vectors.json          (one line for each vector)
//
// One JSON line each: {"admitted": true, "reason": "", "digest": "...", "signer": "..."}
import { createDecipheriv, createHash, createPublicKey, hkdfSync, verify, X509Certificate } from "node:crypto";
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { checkChain, CURVES, keyDigest } from "./chain.mjs";
import { inspect } from "./onnx.mjs";
import { checkDemands, checkReports, openManifest, seconds } from "./manifest.mjs";
import { exactly, HEX, isList, isObject, isText, PRINTABLE, Refusal, refuse, strictJson } from "./strictjson.mjs";

const MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD = "application/vnd.in-toto+json";
const SECOND = ".ml-dsa-65";
const MIB = 1 << 20;
const sha256 = (data) => createHash("sha256").update(data).digest("hex");

// ---- The signature, from the outside in ---------------------------------------------------------------------------

function base64(value) {
  const data = isText(value) && value !== "" ? Buffer.from(value, "base64") : null;
  if (data?.toString("base64") !== value) refuse("signature-malformed", "base64 that is not canonical");
  return data;
}

/** The envelope as {payload, signature, hint} or {payload, signature, chain}. */
function openEnvelope(bytes) {
  const reason = "signature-malformed";
  const envelope = strictJson(bytes, reason);
  const outside = bytes.toString("utf8").replace(/\n$/, "").replace(/"(?:[^"\\]|\\.)*"/g, '""');
  if (bytes.includes(0x5c) || /(^|[^,:])[ ]|[\t\r\n]/.test(outside)) refuse(reason, "another spelling");
  exactly(envelope, ["mediaType", "verificationMaterial", "dsseEnvelope"], [], reason);
  if (!isText(envelope.get("mediaType"))) refuse(reason, "mediaType");
  if (envelope.get("mediaType") !== MEDIA) refuse("signature-unsupported", "another version");
  const material = envelope.get("verificationMaterial");
  if (isObject(material) && material.has("certificate")) refuse("unsupported", "Sigstore");
  const which = isObject(material) && material.has("x509CertificateChain") ? "x509CertificateChain" : "publicKey";
  exactly(material, [which], ["tlogEntries"], reason);
  if (material.has("tlogEntries") && !isList(material.get("tlogEntries"))) refuse(reason, "log entries");
  if (material.get("tlogEntries")?.length) refuse("signature-unsupported", "log entries");
  const dsse = exactly(envelope.get("dsseEnvelope"), ["payload", "payloadType", "signatures"], [], reason);
  if (dsse.get("payloadType") !== PAYLOAD) refuse("signature-unsupported", "payloadType");
  if (!isList(dsse.get("signatures"), 1)) refuse(reason, "not one signature");
  const signed = exactly(dsse.get("signatures")[0], ["sig"], ["keyid"], reason);
  const keyid = signed.get("keyid") ?? "";
  const found = { payload: base64(dsse.get("payload")), signature: base64(signed.get("sig")), keyid };
  if (which === "publicKey") {
    const hint = exactly(material.get(which), ["hint"], [], reason).get("hint");
    if (!isText(hint) || !HEX.test(hint)) refuse(reason, "hint");
    if (keyid !== "" && keyid !== hint) refuse(reason, "keyid");
    return { ...found, hint };
  }
  const list = exactly(material.get(which), ["certificates"], [], reason).get("certificates");
  if (!isList(list)) refuse(reason, "certificates");
  const chain = list.map((one) => base64(exactly(one, ["rawBytes"], [], reason).get("rawBytes")));
  return { ...found, chain };
}

function encoding({ payload }) {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD.length} ${PAYLOAD} ${payload.length} `), payload]);
}

/** Who signed: {key, curve, rests: what may be revoked, second, signs}. */
function whoSigned(envelope, trust, now) {
  if (envelope.hint) {
    const known = trust.keys.find((one) => one.digest === envelope.hint);
    if (!known) refuse("unknown-signer", "no such key is trusted");
    return { ...known, curve: CURVES[known.key.asymmetricKeyDetails?.namedCurve], rests: [known.digest] };
  }
  let first = null;
  for (const authority of trust.authorities) {
    try {
      const found = { ...authority, ...checkChain(envelope.chain, authority, now) };
      if (envelope.keyid !== "" && envelope.keyid !== keyDigest(found.key)) refuse("signature-malformed", "keyid");
      return found;
    } catch (error) {
      first ??= error instanceof Refusal ? error : new Refusal("certificate-malformed", String(error));
    }
  }
  throw first ?? new Refusal("certificate-untrusted", "no authority is trusted");
}

function verifySignature(envelope, second, trust, now) {
  const signer = whoSigned(envelope, trust, now);
  const message = encoding(envelope);
  const good = signer.curve && verify(signer.curve.hash, message, signer.key, envelope.signature);
  if (!good) refuse("signature-invalid", "the key did not sign this");
  if (signer.second) checkSecond(signer.second, message, second, trust);
  else if (trust.postQuantum) refuse("post-quantum-missing", "the signer has no second key");
  if (signer.rests.some((digest) => trust.revoked.includes(digest))) refuse("revoked", "the signer");
  return { signer: keyDigest(signer.key), signs: signer.signs ?? null };
}

function checkSecond(pem, message, signature, { revoked }) {
  if (revoked.includes(sha256(pem))) refuse("revoked", "the second key");
  if (signature === null) refuse("post-quantum-missing", "no second signature");
  if (signature.length !== 3309) refuse("post-quantum-invalid", "not 3309 bytes");
  let key = null;
  try {
    key = createPublicKey(pem);
  } catch {
    refuse("unsupported", "this node knows no ML-DSA-65");
  }
  if (!verify(null, message, key, signature)) refuse("post-quantum-invalid", "the second key did not sign this");
}

// ---- The statement ------------------------------------------------------------------------------------------------

function openStatement(payload) {
  const bad = "statement-invalid";
  const statement = strictJson(payload, bad);
  exactly(statement, ["_type", "subject", "predicateType", "predicate"], [], bad);
  if (!isText(statement.get("_type"))) refuse(bad, "_type");
  if (statement.get("_type") !== "https://in-toto.io/Statement/v1") refuse("signature-unsupported", "_type");
  if (!isText(statement.get("predicateType"))) refuse(bad, "predicateType");
  if (statement.get("predicateType") !== "https://model_signing/signature/v1.0") refuse("signature-unsupported", "version");
  const [subjects, predicate] = [statement.get("subject"), statement.get("predicate")];
  if (!isList(subjects, 1)) refuse(bad, "not one subject");
  if (!isText(exactly(subjects[0], ["name", "digest"], [], bad).get("name"))) refuse(bad, "subject");
  const digest = subjects[0].get("digest");
  if (!isObject(digest) || digest.size !== 1 || !isText(digest.get("sha256")) || !HEX.test(digest.get("sha256"))) refuse(bad, "digest of the subject");
  const how = isObject(predicate) ? predicate.get("serialization") : null;
  if (!isObject(how) || !isText(how.get("method")) || !isText(how.get("hash_type"))) refuse(bad, "serialization");
  if (how.get("method") !== "files" || how.get("hash_type") !== "sha256") refuse("signature-unsupported", "serialization");
  const resources = predicate.get("resources");
  if (!isList(resources) || resources.length === 0) refuse(bad, "resources");
  if (resources.length > 1000) refuse(bad, "more than 1000 files");
  const files = resources.map((one) => {
    exactly(one, ["name", "algorithm", "digest"], [], bad);
    if (!isText(one.get("name"))) refuse(bad, "a name");
    if (one.get("algorithm") !== "sha256") refuse("signature-unsupported", "algorithm");
    if (!isText(one.get("digest")) || !HEX.test(one.get("digest"))) refuse(bad, "a digest");
    return { name: one.get("name"), digest: one.get("digest") };
  });
  return { subject: subjects[0].get("name"), root: digest.get("sha256"), files };
}

/** Full case folding between two NFC: this chain is it for every character but the dotless i, which stays itself. */
function fold(name) {
  const plain = name.normalize("NFC").replaceAll("\u0131", "\0").toLowerCase().toUpperCase().toLowerCase();
  return plain.normalize("NFC");
}

function checkNames(files) {
  const seen = new Set();
  for (const { name } of files) {
    const parts = name.split("/");
    const strange = parts.some((part) => part === "" || part === "." || part === "..");
    if (strange || [...name].length > 512 || !PRINTABLE.test(name) || name.includes("\\")) {
      refuse("name-unsafe", name);
    }
    if (name === "model.sig" || name === "model.sig" + SECOND) refuse("name-unsafe", "the signature itself");
    const folded = fold(name);
    if (seen.has(folded)) refuse("name-duplicate", name);
    seen.add(folded);
  }
}

/** What a policy pins: names and contents, as `sha256sum` lists them, sorted by path component. */
function pinOf(files) {
  const sorted = [...files].sort((one, other) => byComponent(one.name, other.name));
  return sha256(sorted.map(({ name, digest }) => `${digest}  ${name}\n`).join(""));
}

function rootOf(files) {
  return sha256(Buffer.concat(files.map(({ digest }) => Buffer.from(digest, "hex"))));
}

// ---- Files --------------------------------------------------------------------------------------------------------

/** A regular file's bytes; null where there is none. */
function readPlain(path, most) {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return null;
  if (found.isSymbolicLink()) refuse("link", path);
  if (!found.isFile()) refuse("not-a-file", path);
  if (found.size > most) refuse("too-large", path);
  return readFileSync(path);
}

/** The names of all files but the signatures; at most 1000 entries, folders at most 8 deep. */
function listFiles(folder, prefix = "", depth = 0, budget = { left: 1000 }) {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = prefix + entry.name;
    if (--budget.left < 0) refuse("too-large", "more than 1000 entries");
    if (entry.isSymbolicLink()) refuse("link", name);
    if (entry.isDirectory() && depth === 8) refuse("too-large", "folders too deep");
    if (entry.isDirectory()) return listFiles(folder, name + "/", depth + 1, budget);
    if (!entry.isFile()) refuse("not-a-file", name);
    return name === "model.sig" || name === "model.sig" + SECOND ? [] : [name];
  });
}

function byComponent(one, other) {
  const [a, b] = [one.split("/"), other.split("/")];
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = Buffer.compare(Buffer.from(a[i]), Buffer.from(b[i]));
    if (order) return order;
  }
  return a.length - b.length;
}

/** Name -> bytes of exactly the signed files. */
function readFiles(folder, files, there) {
  for (const { name } of files) if (!there.includes(name)) refuse("file-missing", name);
  for (const name of there) if (!files.some((one) => one.name === name)) refuse("file-extra", name);
  const read = new Map();
  for (const { name, digest } of files) {
    const data = readPlain(join(folder, name), 2 ** 31 - 1);
    if (sha256(data) !== digest) refuse("digest-mismatch", name);
    read.set(name, data);
  }
  return read;
}

// ---- The model ----------------------------------------------------------------------------------------------------

const RUNS = { pickle: /\.(pkl|pickle|pck|pt|pth|ckpt|joblib|dill|mar)$/i, "custom-operator": /\.(so|dll|dylib|pyd|pyc|exe)$/i };
const CODE = ["7f454c46", "feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe"];

function checkFormats(files) {
  for (const [name, data] of files) {
    for (const [reason, pattern] of Object.entries(RUNS)) if (pattern.test(name)) refuse(reason, name);
    const head = data.subarray(0, 4).toString("hex");
    const portable = head.startsWith("4d5a") && data.length > 63 && data.readUInt32LE(60);
    if (CODE.includes(head) || (portable && data.subarray(portable, portable + 4).toString("latin1") === "PE\0\0")) refuse("custom-operator", name);
    if (data[0] === 0x80 && data[1] >= 2 && data[1] <= 5 && data.at(-1) === 0x2e) refuse("pickle", name);
  }
}

function decrypt(data, { get }, keys) {
  const how = get("encryption");
  const secret = keys.find((key) => sha256(key).slice(0, 16) === how.get("key"));
  if (!secret) refuse("key-missing", how.get("key"));
  const bad = () => refuse("decryption-failed", "the stream does not open");
  if (data.length < 57 || data[0] !== 40) bad();
  const key = Buffer.from(hkdfSync("sha256", secret, data.subarray(1, 33), `${get("name")}@${get("version")}`, 32));
  const plain = [];
  for (let [number, at] = [0, 40]; at < data.length; number++) {
    const end = Math.min((number + 1) * MIB, data.length);
    const nonce = Buffer.concat([data.subarray(33, 40), Buffer.alloc(5)]);
    nonce.writeUInt32BE(number, 7);
    nonce[11] = end === data.length ? 1 : 0;
    if (end - at < 17) bad();
    const cipher = createDecipheriv("aes-256-gcm", key, nonce).setAuthTag(data.subarray(end - 16, end));
    try {
      plain.push(cipher.update(data.subarray(at, end - 16)), cipher.final());
    } catch {
      bad();
    }
    at = end;
  }
  const model = Buffer.concat(plain);
  return sha256(model) === how.get("plaintext") ? model : bad();
}

// ---- All of it, in order ------------------------------------------------------------------------------------------

function admitFile(path, trust, now) {
  if (!lstatSync(path, { throwIfNoEntry: false })) refuse("file-missing", path);
  const signature = readPlain(path + ".sig", MIB) ?? refuse("signature-missing", path);
  const envelope = openEnvelope(signature);
  const { signer } = verifySignature(envelope, readPlain(path + ".sig" + SECOND, MIB), trust, now);
  const { subject, root, files } = openStatement(envelope.payload);
  if (files.length !== 1 || files[0].name !== ".") refuse("statement-invalid", "not of a single file");
  if (subject !== basename(path)) refuse("name-mismatch", subject);
  if (rootOf(files) !== root) refuse("root-mismatch", root);
  const digest = sha256(readPlain(path, 64 * MIB));
  if (digest !== files[0].digest) refuse("digest-mismatch", path);
  if (trust.revoked.includes(digest)) refuse("revoked", path);
  return { digest, signer };
}

function admitFolder(folder, trust, demands, now) {
  if (!lstatSync(folder, { throwIfNoEntry: false })) refuse("file-missing", folder);
  const there = listFiles(folder);
  let [signed, files, root] = [{ signer: "", signs: null }, null, null];
  if (demands.pin) {
    files = there.map((name) => ({ name, digest: sha256(readPlain(join(folder, name), 2 ** 31 - 1)) }));
    files.sort((one, other) => byComponent(one.name, other.name));
    checkNames(files);
    if (pinOf(files) !== demands.pin) refuse("pin-mismatch", pinOf(files));
    root = rootOf(files);
  } else {
    const envelope = openEnvelope(readPlain(join(folder, "model.sig"), MIB) ?? refuse("signature-missing", folder));
    const second = readPlain(join(folder, "model.sig" + SECOND), MIB);
    signed = verifySignature(envelope, second, trust, now);
    ({ files, root } = openStatement(envelope.payload));
    if (files.length === 1 && files[0].name === ".") refuse("statement-invalid", "of a single file");
    checkNames(files);
    if (rootOf(files) !== root) refuse("root-mismatch", root);
  }
  const read = readFiles(folder, files, there);
  if (trust.revoked.includes(root) || trust.revoked.includes(pinOf(files))) refuse("revoked", root);
  const own = read.get("edgeguard.json") ?? demands.manifest;
  const manifest = openManifest(own ?? refuse("file-missing", "edgeguard.json"));
  checkDemands(manifest, { ...demands, signs: signed.signs }, trust.revoked, now);
  if (!read.has(manifest.get("file"))) refuse("file-missing", manifest.get("file"));
  checkFormats(read);
  if (own === read.get("edgeguard.json")) checkReports(manifest, read);
  let model = read.get(manifest.get("file"));
  if (manifest.manifest.has("encryption")) {
    model = decrypt(model, manifest, demands.contentKeys);
    checkFormats([[manifest.get("file"), model]]);
  }
  if (!manifest.manifest.has("engine")) inspect(model);
  else if (model.length < 64) refuse("model-invalid", "no plan");
  return { digest: root, signer: signed.signer };
}

/** The terms of one vector (paths beside `base`) as loaded keys and bytes. */
function load(terms, base) {
  const bytes = (path) => readFileSync(resolve(base, path));
  const signer = ({ key, second, signs }) => {
    const loaded = createPublicKey(bytes(key));
    return { key: loaded, digest: keyDigest(loaded), second: second ? bytes(second) : null, signs };
  };
  const authority = ({ root, identity, second, signs }) =>
    ({ root: new X509Certificate(bytes(root)).raw, identity, second: second ? bytes(second) : null, signs });
  const at = terms.now ?? terms.at_least;
  const trust = { keys: (terms.keys ?? []).map(signer), authorities: (terms.authorities ?? []).map(authority),
    postQuantum: terms.post_quantum ?? false, revoked: terms.revoked ?? [] };
  const demands = { ...terms, manifest: terms.manifest ? bytes(terms.manifest) : null,
    contentKeys: (terms.content_keys ?? []).map(bytes) };
  return { trust, demands, now: at ? { at: seconds(at), exact: terms.now !== undefined } : null };
}

export function admit(path, terms, base = ".") {
  try {
    const { trust, demands, now } = load(terms, base);
    const folder = lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? true;
    return { admitted: true, reason: "", ...(folder ? admitFolder(path, trust, demands, now) : admitFile(path, trust, now)) };
  } catch (error) {
    const reason = error instanceof Refusal ? error.reason : "internal";
    return { admitted: false, reason, digest: "", signer: "", message: error.message };
  }
}

function main() {
  const text = { type: "string" };
  const options = { key: { ...text, multiple: true }, second: text, root: text, identity: text, now: text, floor: text, pin: text,
    role: text, vectors: text };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.vectors) {
    const base = dirname(values.vectors);
    for (const vector of JSON.parse(readFileSync(values.vectors, "utf8"))) {
      console.log(JSON.stringify({ name: vector.name, ...admit(join(base, vector.path), vector.terms, base) }));
    }
    return;
  }
  const keys = (values.key ?? []).map((key) => ({ key, second: values.second }));
  const authorities = values.root ? [{ root: values.root, identity: values.identity, second: values.second }] : [];
  const { now, floor, pin, role } = values;
  const verdict = admit(positionals[0], { keys, authorities, now, floor, pin, role });
  console.log(JSON.stringify(verdict));
  process.exitCode = verdict.admitted ? 0 : 4;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
