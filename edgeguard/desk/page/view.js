// The page's controls: what the reader sets, the run if it lasts, the run step by step, and the policy's own tests.
// Asks the engine and hands every step to `Show`; decides nothing itself.
"use strict";

(() => {
  const {at, all, make, policy, program} = Show;
  const MOST_STEPS = 60000; // how far the page looks ahead
  const MOST_CHANGES = 40; // how many changes of a run step by step stay on the page
  const SAME = 1e-9; // how far a command may be from the expected one

  const armed = new Trial(program);
  const calm = armed.arm();
  const now = {view: "lasting", trial: null, seen: null, changes: [], timer: null};

  // --- what the reader sets ------------------------------------------------------------------------------------------

  const rows = all("[data-signal]").map((box) => ({
    spec: program.signals[Number(box.dataset.signal)],
    slider: box.querySelector("input[type=range]"),
    value: box.querySelector("[data-value]"),
    health: box.querySelector("[data-health]"),
  }));
  const numberIn = (input) => (input.value.trim() === "" ? NaN : Number(input.value));

  function given({spec, value, health}) {
    if (health.value !== "healthy") return health.value;
    return spec.kind === "bool" ? Number(value.checked) : numberIn(value);
  }

  const values = () => Object.fromEntries(rows.map((row) => [row.spec.name, given(row)]));

  function commanded() {
    const by = (who) => Object.fromEntries(all(`[data-${who}]`).map((input) => [input.dataset[who], numberIn(input)]));
    return {suggest: by("suggest"), manual: by("manual")};
  }

  function setValue({spec, slider, value, health}, wanted) {
    const fault = typeof wanted === "string";
    const number = fault ? spec.nominal : wanted;
    health.value = fault ? wanted : "healthy";
    if (spec.kind === "bool") value.checked = number !== 0;
    else value.value = String(number);
    if (slider) slider.value = String(number);
  }

  // Whatever is not named is as when all is well; a command is the safe one.
  function set({values: signals = {}, suggest, manual}) {
    const safe = Gate.safeCommand(program);
    rows.forEach((row) => setValue(row, row.spec.name in signals ? signals[row.spec.name] : row.spec.nominal));
    for (const [who, command] of [["suggest", suggest || safe], ["manual", manual || safe]]) {
      for (const input of all(`[data-${who}]`)) input.value = String(command[input.dataset[who]]);
    }
  }

  // --- if this lasts -------------------------------------------------------------------------------------------------

  const differs = (a, b) => a.authority !== b.authority || a.mode !== b.mode;
  const believed = (seen) => seen.rules.every((rule) => rule.active || rule.start === null);

  function settled(before, seen) {
    const asked = seen.rules.some((rule, i) => {
      const row = program.rows[i];
      return i < program.enforced && rule.active && row.then === Engine.HUMAN && seen.now < rule.since + row.within;
    });
    return !asked && program.envelope.every((limit) => before.command[limit.name] === seen.command[limit.name]);
  }

  // From a healthy, armed start: every change, and the verdict once all that holds is believed, when it has settled.
  function lasting() {
    const inputs = Engine.evaluate(program, values());
    const options = commanded();
    const trial = armed.fork();
    const start = calm.now + program.period;
    const found = {changes: [], verdict: null, ended: false, last: calm};
    trial.beginPhase();
    for (let i = 0; i < MOST_STEPS && !found.ended; i += 1) {
      const seen = trial.stepInPhase(inputs, options);
      if (i === 0 || differs(found.last, seen)) found.changes.push({at: seen.now - start, seen});
      if (found.verdict === null && believed(seen)) found.verdict = {at: seen.now - start, seen};
      else if (found.verdict !== null && !differs(found.verdict.seen, seen)) found.verdict.seen = seen;
      found.ended = found.verdict !== null && settled(found.last, seen);
      found.last = seen;
    }
    found.verdict = found.verdict || {at: found.last.now - start, seen: found.last};
    return found;
  }

  function showLasting() {
    const {changes, verdict, last, ended} = lasting();
    const {seen} = verdict;
    const later = changes.filter((change) => change.at > verdict.at);
    const next = later.map((change) => `${Words.WORD[change.seen.authority]} after ${Words.seconds(change.at)}`);
    const detail = [
      Words.WHO[seen.mode],
      verdict.at > 0 ? `Believed after ${Words.seconds(verdict.at)}.` : "",
      next.length ? `If nobody takes over: ${next.join(", then ")}.` : "",
    ];
    Show.bar(seen, "If these values last", detail.filter(Boolean).join(" "));
    const until = ended ? "" : ` Nothing else within ${Words.seconds(last.now)}.`;
    Show.ribbon(changes, "after", `From a healthy, armed start.${until}`);
    Show.everything(seen);
  }

  // --- step by step --------------------------------------------------------------------------------------------------

  function restart() {
    const trial = armed.fork();
    trial.beginPhase();
    Object.assign(now, {trial, seen: calm, changes: [{at: calm.now, seen: calm}]});
  }

  function note(seen) {
    if (differs(now.seen, seen)) now.changes = [...now.changes, {at: seen.now, seen}].slice(-MOST_CHANGES);
    now.seen = seen;
  }

  // One control step after another, until one is as wanted. The event comes with the first.
  function advance(wanted, event = null) {
    const inputs = Engine.evaluate(program, values());
    const options = commanded();
    do {
      note(now.trial.stepInPhase(inputs, {...options, event}));
      event = null;
    } while (!wanted(now.seen));
  }

  function showStepping() {
    const {seen} = now;
    Show.bar(seen, `Now, at ${Words.seconds(seen.now)}`, `${Words.WHO[seen.mode]}${asked(seen)}`);
    const entries = `${seen.entries}${program.lockout_after ? ` of ${program.lockout_after}` : ""}`;
    const where = `${Words.mode(seen.mode)} at ${Words.seconds(seen.now)}`;
    at("clock").textContent = `${where}; safe state entered ${entries} times`;
    Show.ribbon(now.changes, "at", now.changes.length === MOST_CHANGES ? `The last ${MOST_CHANGES} changes.` : "");
    Show.everything(seen);
  }

  // While a human is asked to take over: the time left, and the alerts that are due.
  function asked(seen) {
    if (seen.deadline === null) return "";
    const due = program.handover.filter((step) => !(seen.now - seen.since < step.after)).map((step) => step.alert);
    const left = Words.seconds(Math.max(0, seen.deadline - seen.now));
    return ` ${left} left to take over${due.length ? `, alerts: ${due.join(", ")}` : ""}.`;
  }

  function play(wanted) {
    clearInterval(now.timer);
    now.timer = null;
    at("play").textContent = wanted ? "Pause" : "Play";
    if (!wanted) return;
    const began = {real: performance.now(), simulated: now.seen.now};
    now.timer = setInterval(() => {
      const due = began.simulated + (performance.now() - began.real) / 1000;
      if (due > now.seen.now + 1) { // the page was asleep: time stood still
        Object.assign(began, {real: performance.now(), simulated: now.seen.now});
      } else if (due >= now.seen.now + program.period) {
        advance((seen) => seen.now + program.period > due);
        show();
      }
    }, 40);
  }

  function show() {
    at("stepping").hidden = now.view !== "stepping";
    at("ribbon-title").textContent = now.view === "stepping" ? "What happened" : "What follows";
    if (now.view === "lasting") showLasting();
    else showStepping();
  }

  function look(view) {
    now.view = view;
    all("input[name=view]").forEach((radio) => { radio.checked = radio.value === view; });
    if (view === "lasting") play(false);
    show();
  }

  // --- the policy's own tests ----------------------------------------------------------------------------------------

  function runCase(one) {
    play(false);
    restart();
    const lines = [];
    for (const phase of one.phases) {
      set(phase);
      const options = {...commanded(), event: phase.event, manual: phase.manual};
      now.trial.run(values(), phase.span, options).forEach(note);
      lines.push(...compared(phase, now.seen));
    }
    const marked = (held, text) => `${held ? "✓" : "✗"} ${text}`;
    const good = lines.every(([held]) => held);
    const verdict = marked(good, `${one.name}: ${good ? "as expected" : "not as expected"}`);
    at("preset-said").replaceChildren(
      make("p", {text: verdict, kind: good ? "good" : "bad"}),
      make("ul", {}, ...lines.map((line) => make("li", {text: marked(...line)}))));
    look(one.phases.length > 1 || one.phases[0].event ? "stepping" : "lasting");
  }

  function compared({expect, span}, seen) {
    const found = [];
    const after = `after ${Words.span(span)}`;
    const is = (held, wanted, got) => found.push([held, `${after}: ${wanted}${held ? "" : `, not ${got}`}`]);
    const told = [...seen.causes.map((cause) => cause.row), ...seen.notices].map((i) => program.rows[i].id);
    const who = Engine.AUTHORITIES[seen.authority];
    if (expect.authority) is(who === expect.authority, `authority ${expect.authority}`, who);
    if (expect.mode) is(seen.mode === expect.mode, `mode ${expect.mode}`, seen.mode);
    if (expect.rule) is(told.includes(expect.rule), `rule ${expect.rule}`, told.join(", ") || "none");
    for (const [name, wanted] of Object.entries(expect.command)) {
      const got = seen.command[name];
      is(Math.abs(got - wanted) <= SAME, `${name} ${Words.number(wanted)}`, Words.number(got));
    }
    return found;
  }

  // --- wiring --------------------------------------------------------------------------------------------------------

  let waiting = false;
  function soon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; show(); });
  }

  const click = (id, action) => at(id).addEventListener("click", action);
  for (const {slider, value, health} of rows) {
    const touched = () => { health.value = "healthy"; };
    value.addEventListener("input", () => { touched(); if (slider) slider.value = value.value; });
    if (slider) slider.addEventListener("input", () => { touched(); value.value = slider.value; });
  }
  at("inputs").addEventListener("input", soon);
  all("input[name=view]").forEach((radio) => radio.addEventListener("change", () => look(radio.value)));
  click("calm", () => { set({}); show(); });
  click("frame", () => { play(false); advance((seen) => seen.newFrame); show(); });
  click("play", () => play(now.timer === null));
  click("restart", () => { play(false); restart(); show(); });
  for (const button of all("[data-event]")) {
    button.addEventListener("click", () => { advance(() => true, button.dataset.event); show(); });
  }
  at("presets-panel").hidden = policy.cases.length === 0;
  at("presets").replaceChildren(...policy.cases.map((one) => {
    const button = make("button", {type: "button", text: one.name});
    button.addEventListener("click", () => runCase(one));
    return button;
  }));
  restart();
  set({});
  show();
})();
