// Strict JSON: UTF-8, no duplicate key, no NaN, at most 32 levels, numbers of at most 40 characters.
// A whole number is a BigInt, any other a Number, so that `1` and `1.0` stay different.

export class Refusal extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

const DEEPEST = 32;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** The value of a JSON text in bytes; throws a Refusal with the given reason. */
export function strictJson(bytes, reason) {
  const fail = (what) => {
    throw new Refusal(reason, `not strict JSON: ${what}`);
  };
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    fail("not UTF-8");
  }
  let at = 0;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  const skip = () => match(/[ \t\r\n]*/y);
  const take = (char) => text[at] === char && ++at > 0;

  function string() {
    let value = "";
    for (;;) {
      value += match(PLAIN)[0];
      if (take('"')) break;
      if (!take("\\")) fail("a string does not end");
      const hex = match(/u([0-9a-fA-F]{4})/y);
      if (hex) value += String.fromCharCode(parseInt(hex[1], 16));
      else value += ESCAPES[text[at++]] ?? fail("unknown escape");
    }
    if (/\p{Cs}/u.test(value)) fail("half of a surrogate pair");
    return value;
  }

  function list(close, item) {
    skip();
    if (take(close)) return;
    do item();
    while (take(","));
    if (!take(close)) fail(`no ${close}`);
  }

  function value(depth) {
    skip();
    if (depth > DEEPEST && "{[".includes(text[at] ?? " ")) fail("too deep");
    let result;
    if (take("{")) {
      result = new Map();
      list("}", () => {
        skip();
        if (!take('"')) fail("a key is no string");
        const key = string();
        if (result.has(key)) fail("duplicate key");
        skip();
        if (!take(":")) fail("no colon");
        result.set(key, value(depth + 1));
      });
    } else if (take("[")) {
      result = [];
      list("]", () => result.push(value(depth + 1)));
    } else if (take('"')) {
      result = string();
    } else {
      const word = match(/true|false|null/y)?.[0];
      if (word) result = { true: true, false: false, null: null }[word];
      else result = number();
    }
    skip();
    return result;
  }

  function number() {
    const found = match(NUMBER) ?? fail("no value");
    if (found[0].length > 40) fail("number too long");
    const parsed = found[1] || found[2] ? Number(found[0]) : BigInt(found[0]);
    return typeof parsed === "bigint" || Number.isFinite(parsed) ? parsed : fail("number out of range");
  }

  const result = value(1);
  if (at !== text.length) fail("something behind it");
  return result;
}

export const HEX = /^[0-9a-f]{64}$/;
export const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]+$/u;
export const isObject = (value) => value instanceof Map;
export const isText = (value) => typeof value === "string";
export const isWhole = (value, least = 0) => typeof value === "bigint" && value >= least;
export const isNumber = (value) => typeof value === "bigint" || typeof value === "number";
export const isList = (value, size) => Array.isArray(value) && (size === undefined || value.length === size);
export const refuse = (reason, message) => {
  throw new Refusal(reason, message);
};

/** An object with these keys and no others. */
export function exactly(object, required, optional, reason) {
  if (!isObject(object)) refuse(reason, "no object");
  for (const key of required) if (!object.has(key)) refuse(reason, `no ${key}`);
  for (const key of object.keys()) if (![...required, ...optional].includes(key)) refuse(reason, `unknown ${key}`);
  return object;
}
