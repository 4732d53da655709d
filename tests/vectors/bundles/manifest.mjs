// The manifest `edgeguard.json`. NOT checked: of fused graphs the canonical picture and which signal needs which part.
import { exactly, HEX, isList, isNumber, isObject, isText, isWhole, PRINTABLE, refuse, strictJson } from "./strictjson.mjs";

const MIB = 1 << 20;
const REQUIRED = ["edgeguard", "name", "version", "security_version", "role", "file", "input", "outputs"];
const OPTIONAL = ["classes", "temperature", "parent", "engine", "parts", "not_before", "not_after", "target", "assessment",
  "calibration", "training", "watermark", "encryption"];
const SIGNALS = ["certainty", "energy", "margin", "squeezing", "reconstruction", "disagreement"];
const DTYPES = ["float32", "float16", "uint8", "int8"];
const BAD = "manifest-invalid";
const PLATFORM = /^[a-z0-9]{1,16}-[a-z0-9_]{1,16}$/;
const isSize = (one) => isWhole(one, 1) && one <= 65536;
const isCount = (one) => isWhole(one, 1) && one < 2 ** 31;
const isShare = (one) => isNumber(one) && one >= 0 && one <= 1;
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
  const classes = get("classes") ?? [];
  const meanings = get("outputs").map((output) => checkOutput(output, batch, role));
  const used = meanings.filter(Boolean);
  must(new Set(used).size === used.length, "outputs");
  const names = get("outputs").map((output) => output.get("name"));
  must(new Set(names).size === names.length, "outputs");
  if (role === "filter") {
    const [first, ...rest] = get("outputs");
    must(rest.length === 0 && used[0] === "image" && isList(classes, 0) && [1, 1n, undefined].includes(get("temperature")), "filter");
    must(isList(first.get("shape"), 4) && first.get("shape").every((size, i) => size === get("input").get("shape")[i]), "shape");
  } else {
    must(used.includes("logits") !== used.includes("probabilities") && !used.includes("image"), "outputs");
    const answer = get("outputs").find((output) => ["logits", "probabilities"].includes(output.get("meaning")));
    must(isList(classes) && isList(answer.get("shape"), 2) && answer.get("shape")[1] === BigInt(classes.length), "outputs");
  }
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
      target.every((one) => isText(one) && PLATFORM.test(one)), "target");
  }
  if (manifest.has("encryption")) {
    const how = exactly(get("encryption"), ["format", "key", "plaintext"], [], BAD);
    must(how.get("format") === "AES256_GCM_HKDF_1MB" && /^[0-9a-f]{16}$/.test(how.get("key")) && HEX.test(how.get("plaintext")), "encryption");
  }
  checkOrigin(manifest);
  checkClaims(manifest);
  return { manifest, get, start, end };
}

/** `parent`, `engine`, `parts`: what a made bundle says of where it comes from. */
function checkOrigin(manifest) {
  const [parent, engine, parts] = ["parent", "engine", "parts"].map((key) => manifest.get(key));
  const fused = manifest.get("role") === "fused";
  if (parent !== undefined) {
    exactly(parent, ["digest", "how", "samples", "agreement", "deviation"], ["accuracy_loss"], BAD);
    const loss = parent.get("accuracy_loss") ?? 0;
    must(isText(parent.get("digest")) && HEX.test(parent.get("digest")), "parent.digest");
    must(["int8", "plan", "fused"].includes(parent.get("how")) && isCount(parent.get("samples")), "parent");
    must(isShare(parent.get("agreement")) && isNumber(parent.get("deviation")) && parent.get("deviation") >= 0, "parent");
    must(parent.get("accuracy_loss") !== null && isNumber(loss) && loss >= -1 && loss <= 1, "parent.accuracy_loss");
  }
  if (engine !== undefined) {
    exactly(engine, ["kind", "version", "compute_capability", "platform"], [], BAD);
    must([...engine.values()].every(isText) && ["tensorrt", "tensorrt-rtx"].includes(engine.get("kind")), "engine");
    must(/^[0-9]+\.[0-9][A-Za-z0-9.+_-]{0,32}$/.test(engine.get("version")) && PLATFORM.test(engine.get("platform")), "engine");
    must(/^(any|[0-9]{1,3}\.[0-9])$/.test(engine.get("compute_capability")), "engine.compute_capability");
    must(!manifest.has("target") || manifest.get("target").includes(engine.get("platform")), "target");
  }
  must((engine !== undefined) === (parent?.get("how") === "plan"), "engine");
  if (parts !== undefined) {
    must(isObject(parts) && [...parts.values()].every((one) => isText(one) && HEX.test(one)), "parts");
    must(parts.size === 0 || fused, "parts");
  }
  if (!fused) return must(parent?.get("how") !== "fused", "parent.how");
  must(parts?.has("primary") && [...parts.keys()].every((key) => ["primary", "filter", "redundant"].includes(key)), "parts");
  must(["fused", "plan"].includes(parent?.get("how")), "parent");
  must(parent.get("how") !== "fused" || parent.get("digest") === parts.get("primary"), "parent");
}

/** `assessment`, `calibration`, `training`, `watermark`: what the signer states. */
function checkClaims(manifest) {
  const figures = ["clean_accuracy", "robust_accuracy", "risk"];
  const isReport = (one) => isText(one) && !["", "edgeguard.json", manifest.get("file")].includes(one);
  const [assessment, calibration, training, watermark] =
    ["assessment", "calibration", "training", "watermark"].map((key) => manifest.get(key));
  if (assessment !== undefined) {
    exactly(assessment, ["report", "samples"], figures, BAD);
    const stated = figures.filter((key) => assessment.has(key));
    must(isReport(assessment.get("report")) && isCount(assessment.get("samples")), "assessment");
    must(stated.length > 0 && stated.every((key) => isShare(assessment.get(key))), "assessment");
  }
  if (calibration !== undefined) {
    exactly(calibration, ["report", "frames"], [], BAD);
    must(isReport(calibration.get("report")) && isCount(calibration.get("frames")), "calibration");
  }
  if (training !== undefined) {
    exactly(training, [], ["adversarial", "data_filtering", "ensemble", "differential_privacy"], BAD);
    for (const [key, value] of training) must(key === "differential_privacy" || typeof value === "boolean", key);
    if (training.has("differential_privacy")) {
      const budget = exactly(training.get("differential_privacy"), ["epsilon", "delta"], [], BAD);
      const [epsilon, delta] = [budget.get("epsilon"), budget.get("delta")];
      must(isNumber(epsilon) && epsilon > 0 && isNumber(delta) && delta >= 0 && delta <= 0.001, "differential_privacy");
    }
  }
  if (watermark !== undefined) {
    exactly(watermark, ["triggers", "count"], [], BAD);
    must(isText(watermark.get("triggers")) && HEX.test(watermark.get("triggers")) && isCount(watermark.get("count")), "watermark");
  }
}

/** The files that `report` names: signed, and where they are JSON, of the same figures as the manifest. */
export function checkReports({ manifest }, files) {
  for (const key of ["assessment", "calibration"]) {
    const claim = manifest.get(key);
    if (claim === undefined) continue;
    const name = claim.get("report");
    if (!files.has(name)) refuse("file-missing", name);
    if (!name.endsWith(".json")) continue;
    if (files.get(name).length > 16 * MIB) refuse("too-large", name);
    const report = strictJson(files.get(name), BAD);
    for (const [figure, value] of claim) {
      if (figure === "report" || !isObject(report) || !report.has(figure)) continue;
      must(isNumber(report.get(figure)) && Number(report.get(figure)) === Number(value), figure);
    }
  }
}

function checkInput(input) {
  exactly(input, ["name", "dtype", "shape", "layout", "color", "resize", "scale", "mean", "std"], [], BAD);
  const shape = input.get("shape");
  must(isText(input.get("name")) && input.get("name") !== "" && DTYPES.includes(input.get("dtype")), "input");
  must(["NCHW", "NHWC"].includes(input.get("layout")) && ["RGB", "BGR"].includes(input.get("color")), "input");
  must(["area", "bilinear"].includes(input.get("resize")) && isNumber(input.get("scale")) && input.get("scale") > 0, "input");
  for (const key of ["mean", "std"]) must(isList(input.get(key), 3) && input.get(key).every(isNumber), key);
  must(input.get("std").every((one) => one > 0), "std");
  const isBatch = (one) => isSize(one) || (isText(one) && /^[A-Za-z_][A-Za-z0-9_]{0,31}$/.test(one));
  must(isList(shape, 4) && isBatch(shape[0]) && shape.slice(1).every(isSize), "shape");
  must(shape[input.get("layout") === "NCHW" ? 1 : 3] === 3n, "shape");
  return shape[0];
}

function checkOutput(output, batch, role) {
  exactly(output, ["name", "dtype", "shape"], ["meaning"], BAD);
  const meaning = output.get("meaning") ?? "";
  const known = ["logits", "probabilities", "novelty", "image", "", ...(role === "fused" ? SIGNALS : [])];
  must(isText(output.get("name")) && output.get("name") !== "" && DTYPES.includes(output.get("dtype")) && known.includes(meaning), "outputs");
  const shape = output.get("shape");
  must(isList(shape) && shape[0] === batch && shape.slice(1).every(isSize), "shape");
  return meaning;
}

/** RFC 3339 in exactly one form as Unix seconds; null for anything else. */
export function seconds(text) {
  if (!isText(text) || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text)) return null;
  const at = Date.parse(text) / 1000;
  return Number.isNaN(at) || text.startsWith("0000") || new Date(at * 1000).toISOString().replace(".000Z", "Z") !== text ? null : at;
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
