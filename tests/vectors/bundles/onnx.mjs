// The model file, as far as outside data and operators. NOT checked: sizes of tensors, shapes, memory, the contract
// with the manifest, limits of the policy, plans of TensorRT beyond their size.
import { readFileSync } from "node:fs";
import { Refusal } from "./strictjson.mjs";

// For every message of onnx.proto: field number -> [name, wire type, message inside, repeated].
const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5];
const one = (name, wire, inside) => ({ name, wire, inside });
const many = (name, wire, inside) => ({ name, wire, inside, many: true });
const META = many("metadata", BYTES, "Text");
const MESSAGES = {
  Model: { 1: one("ir", VARINT), 2: one("producer", BYTES), 3: one("version", BYTES), 4: one("domain", BYTES), 5: one("number", VARINT),
    6: one("doc", BYTES), 7: one("graph", BYTES, "Graph"), 8: many("opsets", BYTES, "Opset"), 14: META,
    20: many("training", BYTES), 25: many("functions", BYTES, "Function"), 26: many("configuration", BYTES) },
  Graph: { 1: many("nodes", BYTES, "Node"), 2: one("name", BYTES), 5: many("tensors", BYTES, "Tensor"), 10: one("doc", BYTES),
    11: many("inputs", BYTES), 12: many("outputs", BYTES), 13: many("infos", BYTES), 14: many("quantization", BYTES),
    15: many("sparse", BYTES, "Sparse"), 16: META },
  Node: { 1: many("inputs", BYTES), 2: many("outputs", BYTES), 3: one("name", BYTES), 4: one("operator", BYTES),
    5: many("attributes", BYTES, "Attribute"), 6: one("doc", BYTES), 7: one("domain", BYTES), 8: one("overload", BYTES), 9: META,
    10: many("devices", BYTES) },
  Attribute: { 1: one("name", BYTES), 2: one("f", FIXED32), 3: one("i", VARINT), 4: one("s", BYTES), 5: one("t", BYTES, "Tensor"),
    6: one("g", BYTES, "Graph"), 7: many("floats", FIXED32), 8: many("ints", VARINT), 9: many("strings", BYTES),
    10: many("tensors", BYTES, "Tensor"), 11: many("graphs", BYTES, "Graph"), 13: one("doc", BYTES), 14: one("tp", BYTES),
    15: many("tps", BYTES), 20: one("type", VARINT), 21: one("reference", BYTES), 22: one("sparse", BYTES, "Sparse"),
    23: many("sparses", BYTES, "Sparse") },
  Tensor: { 1: many("dims", VARINT), 2: one("type", VARINT), 3: one("segment", BYTES), 4: many("floats", FIXED32),
    5: many("int32s", VARINT), 6: many("strings", BYTES), 7: many("int64s", VARINT), 8: one("name", BYTES), 9: one("raw", BYTES),
    10: many("doubles", FIXED64), 11: many("uint64s", VARINT), 12: one("doc", BYTES), 13: many("external", BYTES, "Text"),
    14: one("location", VARINT), 16: META },
  Sparse: { 1: one("values", BYTES, "Tensor"), 2: one("indices", BYTES, "Tensor"), 3: many("dims", VARINT) },
  Function: { 1: one("name", BYTES), 4: many("inputs", BYTES), 5: many("outputs", BYTES), 6: many("attributes", BYTES),
    7: many("nodes", BYTES, "Node"), 8: one("doc", BYTES), 9: many("opsets", BYTES, "Opset"), 10: one("domain", BYTES),
    11: many("protos", BYTES, "Attribute"), 12: many("infos", BYTES), 13: one("overload", BYTES), 14: META },
  Opset: { 1: one("domain", BYTES), 2: one("version", VARINT) },
  Text: { 1: one("key", BYTES), 2: one("value", BYTES) },
};
const invalid = (what) => new Refusal("model-invalid", what);
const STANDARD = (domain) => domain === "" || domain === "ai.onnx";
const RESERVED = /^($|ai\.onnx|com\.microsoft|com\.ms|trt\.plugins$)/;

function varint(data, at) {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    if (at + i >= data.length) throw invalid("cut short");
    value |= BigInt(data[at + i] & 0x7f) << BigInt(7 * i);
    if (data[at + i] < 0x80) {
      if (value >> 64n) throw invalid("a number above 64 bits");
      return [value, at + i + 1];
    }
  }
  throw invalid("a number above 64 bits");
}

/** One message as {name: value or list}; strict in fields and wire types. */
function read(data, kind, depth = 0) {
  if (depth > 100) throw invalid("nested too deep");
  const found = {};
  for (let at = 0; at < data.length; ) {
    let [tag, next] = varint(data, at);
    if (tag > 0xffffffffn || (next - at > 1 && data[next - 1] === 0)) throw invalid("tag");
    const [number, wire] = [Number(tag >> 3n), Number(tag & 7n)];
    const field = MESSAGES[kind][number];
    const packed = field?.many && field.wire !== BYTES && wire === BYTES;
    if (!field || (field.wire !== wire && !packed)) throw invalid(`field ${number} of ${kind}`);
    let value = null;
    if (wire === VARINT) [value, at] = varint(data, next);
    else {
      let size = wire === FIXED64 ? 8n : 4n;
      if (wire === BYTES) [size, next] = varint(data, next);
      if (size > BigInt(data.length - next)) throw invalid("cut short");
      value = data.subarray(next, (at = next + Number(size)));
    }
    if (field.inside) value = read(value, field.inside, depth + 1);
    if (field.many) (found[field.name] ??= []).push(value);
    else if (field.name in found) throw invalid(`a second ${field.name}`);
    else found[field.name] = value;
  }
  return found;
}

const text = (bytes) => {
  if (bytes?.length > 1024) throw invalid("a long name");
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes ?? Buffer.alloc(0));
  } catch {
    throw invalid("a name that is not UTF-8");
  }
};

/** The known operators: read out of the page, so that this file has no list of its own. */
function knownOperators() {
  const page = readFileSync(new URL("../../../docs/reference/bundle-format.md", import.meta.url), "utf8");
  const table = page.split("| kind | operators |")[1].split("\n\n")[0];
  return new Set([...table.matchAll(/`([A-Za-z0-9]+)`/g)].map((found) => found[1]));
}

export function inspect(data) {
  if (data.subarray(4, 8).toString("latin1") === "ORTM") throw invalid("onnxruntime's own format");
  const model = read(data, "Model");
  if (!model.graph) throw invalid("no graph");
  if (model.training) throw invalid("a graph for training");
  const [known, domains] = [knownOperators(), new Set()];
  for (const opset of model.opsets ?? []) {
    const domain = STANDARD(text(opset.domain)) ? "" : text(opset.domain);
    if (domains.has(domain)) throw new Refusal("opset-unsupported", "a domain twice");
    domains.add(domain);
  }
  const functions = new Set();
  for (const each of model.functions ?? []) {
    const domain = text(each.domain);
    if (RESERVED.test(domain)) throw new Refusal("custom-operator", "a function of a runtime's domain");
    const name = `${domain}::${text(each.name)}`;
    if (functions.has(name)) throw invalid("a function twice");
    functions.add(name);
  }
  const nodes = [];
  collect(model, nodes);
  for (const node of nodes) {
    const [domain, name] = [text(node.domain), text(node.operator)];
    if (name === "EPContext") throw new Refusal("engine-context", "a compiled engine");
    if (!domains.has(STANDARD(domain) ? "" : domain)) throw new Refusal("opset-unsupported", "a domain not imported");
    if (STANDARD(domain) ? !known.has(name) : !functions.has(`${domain}::${name}`)) {
      throw new Refusal(STANDARD(domain) ? "operator-unknown" : "custom-operator", `operator ${name}`);
    }
  }
}

/** Every node of a message, at any depth; tensors on the way must hold their values themselves. */
function collect(message, nodes) {
  if (message.external || message.location) throw new Refusal("external-data", "values from elsewhere");
  if (message.segment) throw invalid("segment");
  for (const value of Object.values(message).flat()) {
    if (value === null || typeof value !== "object" || Buffer.isBuffer(value) || value instanceof Uint8Array) continue;
    if ("operator" in value || "attributes" in value) nodes.push(value);
    collect(value, nodes);
  }
}
