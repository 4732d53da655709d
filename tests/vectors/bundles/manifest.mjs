// The manifest `edgeguard.json`, as far as this verifier goes. NOT checked: what is inside `engine`, `parent`, `parts`,
// `assessment`, `calibration`, `training` and `watermark`, reports, and the further rules of fused graphs.
import { exactly, HEX, isList, isNumber, isText, isWhole, PRINTABLE, refuse, strictJson } from "./strictjson.mjs";

const MIB = 1 << 20;
const REQUIRED = ["edgeguard", "name", "version", "security_version", "role", "file", "input", "outputs"];
const OPTIONAL = ["classes", "temperature", "parent", "engine", "parts", "not_before", "not_after", "target", "assessment",
  "calibration", "training", "watermark", "encryption"];
const SIGNALS = ["certainty", "energy", "margin", "squeezing", "reconstruction", "disagreement"];
const DTYPES = ["float32", "float16", "uint8", "int8"];
const BAD = "manifest-invalid";
const must = (holds, key) => holds || refuse(BAD, `\`${key}\` is not what it must be`);

export function openManifest(data) {
  if (data.length > MIB) refuse(BAD, "above 1 MiB");
  const manifest = exactly(strictJson(data, BAD), REQUIRED, OPTIONAL, BAD);
  const get = (key) => manifest.get(key);
  must(get("edgeguard") === 1n, "edgeguard");
  must(isText(get("name")) && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(get("name")), "name");
  must(isText(get("version")) && PRINTABLE.test(get("version")) && get("version").length <= 64, "version");
  must(isWhole(get("security_version")) && get("security_version") < 2 ** 31, "security_version");
  const role = get("role");
  must(["primary", "redundant", "filter", "fused"].includes(role), "role");
  must(isText(get("file")), "file");
  const batch = checkInput(get("input"));
  must(isList(get("outputs")) && get("outputs").length > 0, "outputs");
  const meanings = get("outputs").map((output) => checkOutput(output, batch, role));
  const used = meanings.filter(Boolean);
  must(new Set(used).size === used.length, "outputs");
  if (role === "filter") must(used.length === 1 && used[0] === "image" && !manifest.has("classes"), "outputs");
  else must(used.includes("logits") !== used.includes("probabilities"), "outputs");
  if (role !== "filter") {
    must(isList(get("classes")) && get("classes").length >= 2 && get("classes").every((one) => isText(one) && PRINTABLE.test(one)) &&
      new Set(get("classes")).size === get("classes").length, "classes");
  }
  must(!manifest.has("temperature") || (isNumber(get("temperature")) && get("temperature") > 0), "temperature");
  const [start, end] = ["not_before", "not_after"].map((key) => (manifest.has(key) ? seconds(get(key)) ?? must(false, key) : null));
  must(start === null || end === null || start < end, "not_after");
  if (manifest.has("target")) {
    const target = get("target");
    must(isList(target) && target.length > 0 && new Set(target).size === target.length &&
      target.every((one) => isText(one) && /^[a-z0-9_]+-[a-z0-9_]+$/.test(one)), "target");
  }
  if (manifest.has("encryption")) {
    const how = exactly(get("encryption"), ["format", "key", "plaintext"], [], BAD);
    must(how.get("format") === "AES256_GCM_HKDF_1MB" && /^[0-9a-f]{16}$/.test(how.get("key")) && HEX.test(how.get("plaintext")), "encryption");
  }
  return { manifest, get, start, end };
}

function checkInput(input) {
  exactly(input, ["name", "dtype", "shape", "layout", "color", "resize", "scale", "mean", "std"], [], BAD);
  const shape = input.get("shape");
  must(isText(input.get("name")) && DTYPES.includes(input.get("dtype")), "input");
  must(["NCHW", "NHWC"].includes(input.get("layout")) && ["RGB", "BGR"].includes(input.get("color")), "input");
  must(["area", "bilinear"].includes(input.get("resize")) && isNumber(input.get("scale")) && input.get("scale") > 0, "input");
  for (const key of ["mean", "std"]) must(isList(input.get(key), 3) && input.get(key).every(isNumber), key);
  must(input.get("std").every((one) => one > 0), "std");
  const isSize = (one) => isWhole(one, 1) && one <= 65536;
  const isBatch = (one) => isSize(one) || (isText(one) && /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(one));
  must(isList(shape, 4) && isBatch(shape[0]) && shape.slice(1).every(isSize), "shape");
  must(shape[input.get("layout") === "NCHW" ? 1 : 3] === 3n, "shape");
  return shape[0];
}

function checkOutput(output, batch, role) {
  exactly(output, ["name", "dtype", "shape"], ["meaning"], BAD);
  const meaning = output.get("meaning") ?? "";
  const known = ["logits", "probabilities", "novelty", "image", "", ...(role === "fused" ? SIGNALS : [])];
  must(isText(output.get("name")) && DTYPES.includes(output.get("dtype")) && known.includes(meaning), "outputs");
  must(isList(output.get("shape")) && output.get("shape")[0] === batch, "shape");
  return meaning;
}

/** RFC 3339 in exactly one form as Unix seconds; null for anything else. */
export function seconds(text) {
  if (!isText(text) || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return null;
  const at = Date.parse(text) / 1000;
  return Number.isNaN(at) || new Date(at * 1000).toISOString().replace(".000Z", "Z") !== text ? null : at;
}

export function checkDemands({ manifest, get, start, end }, demands, revoked, now) {
  if (demands.signs && !demands.signs.includes(get("role"))) refuse("signer-not-allowed", get("role"));
  if (demands.role && get("role") !== demands.role) refuse("wrong-role", get("role"));
  if (get("security_version") < BigInt(demands.floor ?? 0)) refuse("rollback", "security_version");
  const parents = [get("parent")?.get?.("digest"), ...(get("parts")?.values?.() ?? [])];
  if (parents.some((digest) => revoked.includes(digest))) refuse("revoked", "a parent");
  if ((start !== null || end !== null) && now === null) refuse("clock-wrong", "the time is not known");
  if (start !== null && now.exact && now.at < start) refuse("not-yet-valid", "not_before");
  if (end !== null && now.at > end) refuse("expired", "not_after");
  if (demands.platform && manifest.has("target") && !get("target").includes(demands.platform)) refuse("wrong-device", "target");
}
