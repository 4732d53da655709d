// A guard without a world, for the page: the engine's decision, the gate, and what each rule last held on, over
// scripted inputs. Line for line what edgeguard/gate and edgeguard/desk/trial do; a test holds the two together. Pure.
"use strict";

const {Gate, Trial} = (() => {
  const {MODEL, RULES, HUMAN, SAFE_STATE, FALSE} = Engine;
  const ROUNDING = 1e-9; // how early (s) a frame may be due: a period times a count is not exact

  // --- the gate ------------------------------------------------------------------------------------------------------

  const larger = (a, b) => (b > a ? b : a);
  const smaller = (a, b) => (b < a ? b : a);
  const safeCommand = (program) => Object.fromEntries(program.envelope.map((limit) => [limit.name, limit.safe]));

  function isCommand(program, values) {
    if (!values || Object.keys(values).length !== program.envelope.length) return false;
    return program.envelope.every((limit) => Number.isFinite(values[limit.name]));
  }

  function gate(program, {mode, authority, suggested, manual, chosen, previous, elapsed}) {
    const picked = pick(program, mode, authority, suggested, manual, chosen);
    const command = {};
    for (const limit of program.envelope) {
      const wanted = picked.source >= limit.authority ? picked.values[limit.name] : limit.safe;
      command[limit.name] = hold(limit, wanted, previous[limit.name], elapsed);
    }
    const same = program.envelope.every((limit) => command[limit.name] === picked.values[limit.name]);
    return {command, gate: picked.gate === "allow" && !same ? "limit" : picked.gate, source: picked.source};
  }

  function pick(program, mode, authority, suggested, manual, chosen) {
    const safe = safeCommand(program);
    if (authority === SAFE_STATE) return {values: safe, gate: "block", source: SAFE_STATE};
    if (authority === MODEL && isCommand(program, suggested)) return {values: suggested, gate: "allow", source: MODEL};
    if (mode === "manual" && isCommand(program, manual)) return {values: manual, gate: "substitute", source: HUMAN};
    const row = program.fallback[chosen];
    if (row && isCommand(program, row.command)) return {values: row.command, gate: "substitute", source: RULES};
    return {values: safe, gate: "substitute", source: SAFE_STATE};
  }

  // `value` inside [min, max], and no further from `previous` than the rates allow in `elapsed` s.
  function hold(limit, wanted, previous, elapsed) {
    const inside = smaller(larger(wanted, limit.min), limit.max);
    const base = smaller(larger(previous, limit.min), limit.max);
    const up = elapsed > 0 ? limit.rise * elapsed : 0;
    const down = elapsed > 0 ? limit.fall * elapsed : 0;
    return smaller(larger(inside, base - down), base + up);
  }

  // --- the trial -----------------------------------------------------------------------------------------------------

  // A guard without a world: the first step is at time 0, each later one a control period after it.
  class Trial {
    constructor(program) {
      this.program = program;
      this.state = Engine.initial(program);
      this.command = safeCommand(program);
      this.last = NaN;
      this.held = {}; // by row: the values it last held on
      this.sinceFrame = 0; // steps since this phase began, and frames in it
      this.frames = 0;
    }

    fork() {
      return Object.assign(Object.create(Trial.prototype), this, {held: {...this.held}});
    }

    // Start up, and arm on a calm frame; not in `nominal` afterwards if a rule holds while all is well.
    arm() {
      const calm = Engine.evaluate(this.program, {});
      this.step(calm, {event: "ready"});
      this.step(calm, {newFrame: true});
      return this.step(calm, {newFrame: true, event: "arm"});
    }

    // `inputs`: what `evaluate` gave. `suggest` undefined: the safe command.
    step(inputs, {newFrame = false, event = null, suggest, manual = null} = {}) {
      const program = this.program;
      const now = Number.isNaN(this.last) ? 0 : this.last + program.period;
      const events = event === null ? [] : [event];
      const [state, found] = Engine.step(program, this.state, {...inputs, newFrame, events}, now);
      this.state = state;
      this.remember(inputs);
      const safe = safeCommand(program);
      const gated = gate(program, {
        ...found, suggested: suggest === undefined ? safe : suggest, manual, chosen: inputs.chosen,
        previous: this.command, elapsed: now - this.last,
      });
      this.command = gated.command;
      this.last = now;
      const planned = found.authority !== MODEL || gated.source === MODEL;
      return {
        ...found, ...gated, now, newFrame, inputs, planned, authority: planned ? found.authority : gated.source,
        causes: found.because.map((cause) => this.cause(cause, now)), notices: this.notices(),
        rules: state.rules, entries: state.entries, since: state.since,
      };
    }

    // One control step of a phase: a new frame each frame period, beginning with the phase's first step.
    stepInPhase(inputs, extra = {}) {
      const due = Math.floor((this.sinceFrame * this.program.period + ROUNDING) / this.program.frame_period);
      const newFrame = due >= this.frames;
      this.sinceFrame += 1;
      this.frames += newFrame ? 1 : 0;
      return this.step(inputs, {...extra, newFrame});
    }

    beginPhase() {
      this.sinceFrame = 0;
      this.frames = 0;
    }

    // Every step of one phase, until `span` is over. The event comes with its first step only.
    run(values, span, {event = null, suggest, manual = null} = {}) {
      const inputs = Engine.evaluate(this.program, values);
      const found = [];
      this.beginPhase();
      for (;;) {
        found.push(this.stepInPhase(inputs, {event: found.length ? null : event, suggest, manual}));
        const seen = found[found.length - 1];
        if (this.frames >= span.frames && !(seen.now - found[0].now < span.seconds)) return found;
      }
    }

    remember(inputs) {
      inputs.when.forEach((held, i) => {
        if (held === FALSE) return;
        const read = (k) => [this.program.signals[k].name, inputs.healthy[k] ? inputs.numbers[k] : null];
        this.held[i] = Object.fromEntries(this.program.rows[i].reads.map(read));
      });
    }

    // Rows that only tell, and do so now.
    notices() {
      return this.program.rows.map((_, i) => i).filter((i) => i >= this.program.enforced && this.state.rules[i].active);
    }

    cause({row, since}, now) {
      const spec = this.program.rows[row];
      const expired = spec.then === HUMAN && !(now < since + spec.within);
      return {row, since, expired, demands: expired ? spec.otherwise : spec.then, values: this.held[row] || {}};
    }
  }

  return {Gate: {safeCommand, gate}, Trial};
})();
