// What the page says: numbers, times, conditions and causes as text. Pure: builds strings, touches no document.
"use strict";

const Words = (() => {
  const WORD = ["MODEL", "RULES", "HUMAN", "SAFE STATE"];
  const SHAPE = ["●", "◆", "▲", "■"]; // colour never says anything alone
  const WHO = {
    init: "Nobody acts yet: models are being admitted.",
    standby: "Nobody acts: the guard stands by with every actuator at its safe value.",
    nominal: "The model acts.",
    degraded: "The fallback rules act instead of the model.",
    takeover_request: "A human is asked to take over; until then the fallback rules act.",
    manual: "A human acts.",
    safe_state: "Nobody acts: every actuator goes to its safe value.",
    lockout: "Nobody acts: only a restart ends the lockout.",
  };
  const DONE = {
    ready: "started up", arm: "armed by the operator",
    take: "the operator took over", release: "the operator gave back",
    reset: "reset by the operator", stop: "stopped by the operator", integrity: "the guard's own integrity is broken",
  };
  const FAULTS = {missing: "has no value", stale: "is older than its maximum age", nan: "is not a number"};
  const GATE = {
    allow: "The model's suggestion goes out as it is.",
    limit: "The model's suggestion goes out, held inside the envelope.",
    block: "Nobody may act: the safe values go out.",
  };
  const SUBSTITUTE = [ // by whose command it is
    "", "A fallback row commands.", "The human's command goes out.", "No fallback row holds: the safe values go out.",
  ];
  const PRECEDENCE = {"if": 0, "||": 1, "&&": 2, "in": 3, "+": 4, "-": 4, "*": 5, "/": 5, "not": 6, "neg": 6};
  const COMPARISONS = ["<", "<=", ">", ">=", "==", "!="];

  // --- values --------------------------------------------------------------------------------------------------------

  const mode = (name) => name.replace(/_/g, " ").toUpperCase();
  const number = (x) => (typeof x !== "number" || Number.isNaN(x) ? "no value" : String(Number(x.toPrecision(4))));
  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
  const seconds = (s) => (s < 0.9995 ? `${Number((s * 1000).toPrecision(4))} ms` : `${Number(s.toFixed(2))} s`);
  const span = (x) => (x.frames ? plural(x.frames, "frame") : x.seconds ? seconds(x.seconds) : "at once");

  // A value of a signal as the policy writes it.
  function reading(spec, value) {
    if (typeof value !== "number" || Number.isNaN(value)) return "no value";
    if (spec.kind === "bool") return value ? "true" : "false";
    if (spec.kind === "class") return spec.labels[value] === undefined ? "another class" : spec.labels[value];
    return `${number(value)}${spec.unit ? ` ${spec.unit}` : ""}`;
  }

  // --- conditions ----------------------------------------------------------------------------------------------------

  // A tree as text, with as few parentheses as it takes.
  function show(node, program, outer = -1) {
    const [op, ...parts] = node;
    if (op === "literal") return parts[1];
    if (op === "signal" || op === "flag") return program.signals[parts[0]].name;
    const own = COMPARISONS.includes(op) ? 3 : PRECEDENCE[op];
    const inner = (part, more) => show(part, program, own + more);
    let text;
    if (op === "not" || op === "neg") text = `${op === "not" ? "!" : "-"}${inner(parts[0], 0)}`;
    else if (op === "in") text = `${inner(parts[0], 1)} in [${parts[2].join(", ")}]`;
    else if (op === "if") text = `${inner(parts[0], 1)} ? ${inner(parts[1], 1)} : ${inner(parts[2], 0)}`;
    else text = `${inner(parts[0], own === 3 ? 1 : 0)} ${op} ${inner(parts[1], 1)}`;
    return own < outer ? `(${text})` : text;
  }

  // Every comparison, truth and list in a condition: what it says, what it saw, and how it came out.
  function leaves(node, program, inputs) {
    const [op, ...parts] = node;
    const leaf = (saw) => [{text: show(node, program), saw, truth: Engine.truth(node, inputs)}];
    const sawn = (part) => number(Engine.value(part, inputs));
    if (COMPARISONS.includes(op) && !isTruth(parts[0])) {
      const inside = parts.flatMap((part) => leaves(part, program, inputs));
      return [...leaf(comparison(op, parts, program, sawn)), ...inside];
    }
    if (op === "flag") {
      const [i] = parts;
      return leaf(reading(program.signals[i], inputs.healthy[i] ? inputs.numbers[i] : null));
    }
    if (op === "in") return leaf(sawn(parts[0]));
    if (op === "literal" || op === "signal") return [];
    return parts.flatMap((part) => leaves(part, program, inputs));
  }

  // `0.05 < 0.93`, in the words of a class where one is compared.
  function comparison(op, parts, program, sawn) {
    const spec = parts.filter((part) => part[0] === "signal").map((part) => program.signals[part[1]])[0];
    const labelled = spec && spec.kind === "class";
    const side = (part) => (labelled && sawn(part) !== "no value" ? reading(spec, Number(sawn(part))) : sawn(part));
    return `${side(parts[0])} ${op} ${side(parts[1])}`;
  }

  function isTruth(node) {
    const [op, ...parts] = node;
    if (op === "literal") return typeof parts[0] === "boolean";
    if (op === "if") return isTruth(parts[1]);
    return ["flag", "in", "not", "&&", "||", ...COMPARISONS].includes(op);
  }

  // --- causes --------------------------------------------------------------------------------------------------------

  // The first cause in one sentence, with the values it held on.
  function headline(seen, program) {
    if (!seen.planned) return "The model gives no usable command.";
    const [first] = seen.causes;
    if (first && !(seen.event && seen.mode === "manual")) {
      const row = program.rows[first.row];
      if (row.when === null) return `${row.id}: the signal ${atFault(program, row, seen)}.`;
      return `${row.id}: ${row.cause || row.text} (${saw(first, program)})`;
    }
    if (seen.mode === "nominal") return "Nothing speaks against the model.";
    return seen.event ? `${capital(DONE[seen.event])}.` : WHO[seen.mode];
  }

  const capital = (text) => text[0].toUpperCase() + text.slice(1);

  // Why authority or mode became another, in a few words.
  function because(seen, program) {
    if (!seen.planned) return "no usable command";
    const [first] = seen.causes;
    if (first && !(seen.event && seen.mode === "manual")) {
      return `${program.rows[first.row].id}${first.expired ? ": nobody took over in time" : ""}`;
    }
    if (seen.event) return DONE[seen.event];
    return seen.mode === "nominal" ? "nothing speaks against it" : "";
  }

  // `certainty 0.05, speed 3 m/s`: the values a row last held on.
  function saw(cause, program) {
    const spec = (name) => program.signals.find((one) => one.name === name);
    return Object.entries(cause.values).map(([name, value]) => `${name} ${reading(spec(name), value)}`).join(", ");
  }

  // Why a signal is at fault, or that it was.
  function atFault(program, row, seen) {
    const [i] = row.reads;
    if (seen.inputs.healthy[i]) return "was at fault, and has not been healthy for long enough";
    return FAULTS[seen.inputs.given[i]] || "is outside its range";
  }

  // The times of a rule: how long it must hold, where it stands, and what ends it.
  function times(row, seen, i) {
    const standing = Words.standing(row, seen.rules[i], seen.inputs.when[i], seen.now);
    const expired = seen.causes.some((cause) => cause.row === i && cause.expired);
    const late = expired ? ": nobody took over in time" : "";
    return [
      row.hold.frames || row.hold.seconds ? `Must hold for ${span(row.hold)}.` : "Acts at once.",
      standing ? `Now: ${standing}.` : "",
      row.within ? `A human has ${seconds(row.within)}, then ${WORD[row.otherwise]}${late}.` : "",
      `Clears when: ${clears(row)}.`,
    ].filter(Boolean).join(" ");
  }

  function clears(row) {
    const text = row.when === null ? "the signal is healthy" : row.clear_text;
    return `${text}, for ${span(row.clear)}${row.latch ? ", and the operator's RESET" : ""}`;
  }

  // Where a row stands: nothing, on its way, active, on its way out.
  function standing(row, rule, truth, now) {
    const run = (limit) => (limit.frames
      ? `${Math.min(rule.frames, limit.frames)} of ${plural(limit.frames, "frame")}`
      : `${seconds(Math.min(now - rule.start, limit.seconds))} of ${seconds(limit.seconds)}`);
    const atFault = truth === Engine.FAULT && row.when !== null ? ", at fault" : "";
    if (!rule.active) return rule.start === null ? "" : `holds for ${run(row.hold)}${atFault}`;
    if (rule.start === null) return `active${atFault}`;
    const over = rule.frames >= row.clear.frames && now - rule.start >= row.clear.seconds;
    return over && row.latch ? "active, waits for RESET" : `active, clear for ${run(row.clear)}`;
  }

  // Whose command goes out, and what the fallback rules say. `row`: the fallback row that holds, if one does.
  function gate(seen, row) {
    const text = seen.gate === "substitute" ? SUBSTITUTE[seen.source] : GATE[seen.gate];
    const line = row ? `line ${row.line} (${row.text})` : "no row: the safe values";
    return `${text} Fallback: ${line}.`;
  }

  return {
    WORD, SHAPE, WHO, mode, number, seconds, span, show, leaves, headline, because, atFault, times, standing, gate,
  };
})();
