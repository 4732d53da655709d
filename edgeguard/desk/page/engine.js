// The decision as the page runs it: conditions, rules and modes, over the compiled table as JSON. Line for line what
// edgeguard/policy/expr and edgeguard/decision do; a test holds the two together.
// Pure: no clock, no document. All numbers are the same 64-bit floats on both sides.
"use strict";

const Engine = (() => {
  const AUTHORITIES = ["model", "rules", "human", "safe_state"];
  const [MODEL, RULES, HUMAN, SAFE_STATE] = [0, 1, 2, 3];
  const [FALSE, TRUE, FAULT] = [0, 1, 2];
  const AUTHORITY_OF = {
    init: SAFE_STATE, standby: SAFE_STATE, nominal: MODEL, degraded: RULES, takeover_request: HUMAN,
    manual: HUMAN, safe_state: SAFE_STATE, lockout: SAFE_STATE,
  };
  const DEMANDED = ["nominal", "degraded", "takeover_request", "safe_state"];
  const IDLE = Object.freeze({active: false, since: 0, frames: 0, start: null});

  // --- the program ---------------------------------------------------------------------------------------------------

  // JSON has no infinities: an open end and an unlimited rate are null there.
  function load(data) {
    const open = (value, otherwise) => (value === null ? otherwise : value);
    return {
      ...data,
      signals: data.signals.map((s) => ({...s, low: open(s.low, -Infinity), high: open(s.high, Infinity)})),
      envelope: data.envelope.map((a) => ({...a, rise: open(a.rise, Infinity), fall: open(a.fall, Infinity)})),
    };
  }

  // --- conditions ----------------------------------------------------------------------------------------------------

  const finite = (value) => (Number.isFinite(value) ? value : null);
  const OPERATORS = {
    "not": (x) => !x, "neg": (x) => -x,
    "+": (a, b) => finite(a + b), "-": (a, b) => finite(a - b),
    "*": (a, b) => finite(a * b), "/": (a, b) => finite(a / b),
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
    "==": (a, b) => a === b, "!=": (a, b) => a !== b,
    "&&": (a, b) => a && b, "||": (a, b) => a || b, "if": (test, then, otherwise) => (test ? then : otherwise),
  };

  // What a tree gives: a number or a truth; null for a fault, wherever in the tree it is.
  function value(node, seen) {
    const [op, ...parts] = node;
    if (op === "literal") return parts[0];
    if (op === "signal" || op === "flag") {
      if (!seen.healthy[parts[0]]) return null;
      const number = finite(seen.numbers[parts[0]]);
      return op === "flag" && number !== null ? number !== 0 : number;
    }
    if (op === "in") {
      const number = value(parts[0], seen);
      return number === null ? null : parts[1].includes(number);
    }
    const values = parts.map((part) => value(part, seen)); // all of them: nothing is skipped
    return values.includes(null) ? null : OPERATORS[op](...values);
  }

  function truth(node, seen) {
    const found = value(node, seen);
    return found === null ? FAULT : found ? TRUE : FALSE;
  }

  // Of one row: whether it holds, and whether its clear condition does. A fault row stands for a signal's health.
  function rowTruths(row, seen) {
    if (row.when === null) {
      const fine = seen.healthy[row.reads[0]];
      return fine ? [FALSE, TRUE] : [FAULT, FAULT];
    }
    const when = truth(row.when, seen);
    if (row.clear_when !== null) return [when, truth(row.clear_when, seen)];
    return [when, when === FAULT ? FAULT : TRUE - when];
  }

  // The first fallback row that holds; one that faults ends the search. -1: none.
  function choose(program, seen) {
    for (let i = 0; i < program.fallback.length; i += 1) {
      const held = truth(program.fallback[i].when, seen);
      if (held === TRUE) return i;
      if (held === FAULT) return -1;
    }
    return -1;
  }

  // values: by name a number, "missing", "stale" or "nan"; not named is nominal.
  function read(program, values) {
    const numbers = [];
    const healthy = [];
    const said = [];
    for (const spec of program.signals) {
      const given = values[spec.name] === undefined ? spec.nominal : values[spec.name];
      const number = typeof given === "number" ? given : NaN;
      said.push(given);
      numbers.push(number);
      healthy.push(Number.isFinite(number) && spec.low <= number && number <= spec.high && fits(spec, number));
    }
    return {numbers, healthy, given: said};
  }

  const fits = (spec, number) => !spec.whole || Number.isInteger(number);

  function evaluate(program, values) {
    const seen = read(program, values);
    const truths = program.rows.map((row) => rowTruths(row, seen));
    return {...seen, when: truths.map((t) => t[0]), clear: truths.map((t) => t[1]), chosen: choose(program, seen)};
  }

  // --- the rule layer ------------------------------------------------------------------------------------------------

  function advance(row, rule, when, clear, now, counted, opened) {
    const holds = when !== FALSE;
    const counts = rule.active ? clear === TRUE && !holds : holds;
    if (!counts) return still(rule);
    const start = rule.start === null ? now : rule.start;
    const frames = rule.frames + (counted ? 1 : 0);
    const span = rule.active ? row.clear : row.hold;
    if (rule.active) {
      if (frames >= span.frames && now - start >= span.seconds && (opened || !row.latch)) return IDLE;
    } else if (frames >= span.frames && !(now - start < span.seconds)) {
      return {active: true, since: now, frames: 0, start: null};
    }
    return {...rule, frames, start};
  }

  function still(rule) {
    if (!rule.active) return IDLE;
    return rule.start === null ? rule : {...rule, frames: 0, start: null};
  }

  function ruleDemand(row, rule, now) {
    return row.then === HUMAN && !(now < rule.since + row.within) ? row.otherwise : row.then;
  }

  function summarise(program, rules, since, now) {
    const found = {demand: MODEL, active: false, pending: false, fresh: false};
    for (let i = 0; i < program.enforced; i += 1) {
      const [row, rule] = [program.rows[i], rules[i]];
      if (rule.active) {
        found.active = true;
        found.demand = Math.max(found.demand, ruleDemand(row, rule, now));
        found.fresh = found.fresh || (row.then === SAFE_STATE && rule.since >= since);
      }
      found.pending = found.pending || rule.start !== null;
    }
    return found;
  }

  // --- the mode layer ------------------------------------------------------------------------------------------------

  function nextMode(lockoutAfter, seat, summary, events) {
    let [mode, event] = leave(seat, summary, events);
    let entries = seat.entries;
    if (mode === "safe_state" && seat.mode !== mode) {
      entries += 1;
      if (lockoutAfter && entries >= lockoutAfter) mode = "lockout";
    }
    return {mode, event, entries};
  }

  function leave(seat, summary, events) {
    const said = (event) => events.includes(event);
    if (seat.mode === "lockout" || said("integrity")) return ["lockout", said("integrity") ? "integrity" : seat.event];
    if (seat.mode === "init") return said("ready") ? ["standby", "ready"] : ["init", null];
    if (seat.mode === "standby") {
      if (said("stop")) return ["standby", seat.event];
      if (said("take")) return ["manual", "take"];
      if (said("arm") && !summary.active && !summary.pending) return ["nominal", "arm"];
      return ["standby", seat.event];
    }
    if (said("stop")) return ["safe_state", "stop"];
    if (seat.mode === "safe_state") {
      if (said("take")) return ["manual", "take"];
      if (said("reset") && !summary.active) return ["standby", "reset"];
      return ["safe_state", seat.event];
    }
    if (seat.mode === "manual") {
      if (summary.fresh) return ["safe_state", null];
      if (said("release")) return [DEMANDED[summary.demand], "release"];
      return ["manual", seat.event];
    }
    if (said("take") && summary.demand !== SAFE_STATE) return ["manual", "take"];
    return [DEMANDED[summary.demand], null];
  }

  function initial(program) {
    const rules = program.rows.map(() => IDLE);
    return {mode: "init", event: null, entries: 0, since: 0, rules, latched: [], latchedSince: []};
  }

  // One step of the whole machine: [state, outcome]. Rows from `program.enforced` on only tell.
  function step(program, state, {when, clear, newFrame, events}, now) {
    let rules = state.rules;
    if (state.mode !== "init") {
      const opened = state.mode === "standby" || events.includes("reset");
      rules = rules.map((rule, i) => (when[i] === FALSE && rule === IDLE
        ? rule // nothing to do for most rules in most steps
        : advance(program.rows[i], rule, when[i], clear[i], now, newFrame, opened)));
    }
    const summary = summarise(program, rules, state.since, now);
    const seat = nextMode(program.lockout_after, state, summary, events);
    const after = enter(program, {...state, rules}, seat, now);
    return [after, outcome(program, after, now)];
  }

  function enter(program, state, seat, now) {
    if (seat.mode === state.mode) return {...state, event: seat.event};
    const keeps = AUTHORITY_OF[seat.mode] === SAFE_STATE && seat.mode !== "standby";
    const latched = keeps ? activeRows(program, state.rules) : [];
    return {...state, ...seat, since: now, latched, latchedSince: latched.map((i) => state.rules[i].since)};
  }

  function activeRows(program, rules) {
    const found = [];
    for (let i = 0; i < program.enforced; i += 1) if (rules[i].active) found.push(i);
    return found;
  }

  function outcome(program, state, now) {
    const {mode, event} = state;
    const found = {mode, authority: AUTHORITY_OF[mode], event, because: [], deadline: null};
    if (state.mode === "nominal") return found;
    const active = activeRows(program, state.rules);
    found.because = active.map((row) => ({row, since: state.rules[row].since}));
    state.latched.forEach((row, k) => {
      if (!active.includes(row)) found.because.push({row, since: state.latchedSince[k]});
    });
    const then = (cause) => program.rows[cause.row].then;
    found.because.sort((a, b) => then(b) - then(a) || a.since - b.since || a.row - b.row);
    if (state.mode === "takeover_request") {
      const asks = active.filter((i) => ruleDemand(program.rows[i], state.rules[i], now) === HUMAN);
      found.deadline = Math.min(...asks.map((i) => state.rules[i].since + program.rows[i].within));
    }
    return found;
  }

  return {
    AUTHORITIES, MODEL, RULES, HUMAN, SAFE_STATE, FALSE, TRUE, FAULT, load, value, truth, evaluate, initial, step,
  };
})();
