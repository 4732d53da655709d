// What the page shows of one step: the bar, what follows, why, the command, and the marks in tables and diagram.
// Puts text into the document as text, never as markup. Decides nothing and remembers nothing.
"use strict";

const Show = (() => {
  const at = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const policy = JSON.parse(at("policy").textContent);
  const program = Engine.load(policy.table);

  function make(tag, {text, kind, ...attributes} = {}, ...children) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (kind) element.className = kind;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function chip(authority) {
    const shape = make("span", {text: Words.SHAPE[authority], kind: "shape", "aria-hidden": "true"});
    return make("span", {kind: "chip", "data-authority": Engine.AUTHORITIES[authority]}, shape, Words.WORD[authority]);
  }

  // --- the bar and what follows --------------------------------------------------------------------------------------

  function bar(seen, lead, detail) {
    at("bar").dataset.authority = Engine.AUTHORITIES[seen.authority];
    at("lead").textContent = lead;
    const word = Words.WORD[seen.authority];
    if (at("word").textContent !== word) at("word").textContent = word; // what is said aloud is said once
    at("shape").textContent = Words.SHAPE[seen.authority];
    at("headline").textContent = Words.headline(seen, program);
    at("detail").textContent = detail;
  }

  // changes: [{at, seen}], each with the step at which authority or mode became another.
  function ribbon(changes, before, note) {
    at("ribbon").replaceChildren(...changes.map(({at: when, seen}) => make(
      "li", {"data-authority": Engine.AUTHORITIES[seen.authority]},
      make("span", {text: when > 0 ? `${before} ${Words.seconds(when)}` : "at once", kind: "when"}),
      chip(seen.authority),
      make("span", {text: Words.mode(seen.mode), kind: "soft"}),
      make("span", {text: Words.because(seen, program)}))));
    at("ribbon-note").textContent = note;
  }

  // --- why -----------------------------------------------------------------------------------------------------------

  function causes(seen) {
    const order = new Map(seen.causes.map((cause, i) => [cause.row, i]));
    const rank = (i) => (order.has(i) ? order.get(i) : program.rows.length + i);
    const holding = program.rows.map((_, i) => i)
      .filter((i) => order.has(i) || seen.inputs.when[i] !== Engine.FALSE || seen.rules[i].active)
      .sort((a, b) => rank(a) - rank(b));
    const cards = holding.map((i) => card(i, seen));
    at("causes").replaceChildren(...(cards.length ? cards : [make("p", {text: "No rule holds.", kind: "soft"})]));
  }

  function card(i, seen) {
    const row = program.rows[i];
    const enforced = i < program.enforced;
    const tells = make("span", {text: row.mode === "warn" ? "only warns" : "only logged", kind: "tag"});
    const line = make("span", {text: `line ${row.line}`, kind: "soft"});
    const found = make("article", {kind: "cause", "data-authority": enforced ? Engine.AUTHORITIES[row.then] : "none"});
    found.append(make("header", {}, make("code", {text: row.id}), line, enforced ? chip(row.then) : tells));
    if (row.cause) found.append(make("p", {text: row.cause}));
    if (row.when === null) found.append(make("p", {text: `The signal ${Words.atFault(program, row, seen)}.`}));
    else found.append(make("p", {}, make("code", {text: row.text})), leaves(row, seen));
    found.append(make("p", {text: Words.times(row, seen, i), kind: "soft"}));
    return found;
  }

  function leaves(row, seen) {
    const marks = ["✗ no", "✓ yes", "? at fault"];
    return make("ul", {kind: "leaves"}, ...Words.leaves(row.when, program, seen.inputs).map((leaf) => make(
      "li", {}, make("span", {text: marks[leaf.truth], kind: `mark t${leaf.truth}`}),
      make("code", {text: leaf.text}), make("span", {text: leaf.saw, kind: "soft"}))));
  }

  // --- what is commanded ---------------------------------------------------------------------------------------------

  function command(seen) {
    const row = program.fallback[seen.inputs.chosen];
    const wanted = row ? row.command : Gate.safeCommand(program);
    at("command-note").textContent = Words.gate(seen, row);
    at("actuators").replaceChildren(...program.envelope.flatMap((limit) => {
      const now = seen.command[limit.name];
      const meter = make("meter", {min: limit.min, max: limit.max, value: now, "aria-hidden": "true"});
      const range = `in ${Words.number(limit.min)} to ${Words.number(limit.max)}`;
      const rest = `${range}; the fallback says ${Words.number(wanted[limit.name])}`;
      return [make("dt", {}, make("code", {text: limit.name})),
        make("dd", {}, make("strong", {text: Words.number(now)}), meter, make("span", {text: rest, kind: "soft"}))];
    }));
  }

  // --- the marks -----------------------------------------------------------------------------------------------------

  function marks(seen) {
    for (const line of all("#decisions [data-key]")) {
      const i = Number(line.dataset.key);
      const row = program.rows[i];
      line.classList.toggle("lit", seen.inputs.when[i] !== Engine.FALSE || seen.rules[i].active);
      line.dataset.authority = i < program.enforced ? Engine.AUTHORITIES[row.then] : "none";
      line.querySelector("[data-now]").textContent = Words.standing(row, seen.rules[i], seen.inputs.when[i], seen.now);
    }
    for (const line of all("#fallback [data-key]")) {
      const chosen = Number(line.dataset.key) === seen.inputs.chosen;
      const acts = seen.gate === "substitute" && seen.authority !== Engine.MODEL && seen.source !== Engine.HUMAN;
      line.classList.toggle("lit", chosen);
      line.querySelector("[data-now]").textContent = chosen ? (acts ? "commands" : "would command") : "";
    }
    for (const mode of all("[data-mode]")) mode.classList.toggle("lit", mode.dataset.mode === seen.mode);
    const held = (row, i) => (seen.inputs.when[i] === Engine.TRUE ? row.reads : []);
    const read = new Set(program.rows.flatMap(held));
    for (const box of all("[data-signal]")) {
      const i = Number(box.dataset.signal);
      box.dataset.state = seen.inputs.healthy[i] ? (read.has(i) ? "suspect" : "pass") : "fault";
      const said = {suspect: "a rule on it holds", pass: "", fault: "at fault"};
      box.querySelector("[data-status]").textContent = said[box.dataset.state];
    }
  }

  function everything(seen) {
    causes(seen);
    command(seen);
    marks(seen);
  }

  return {at, all, make, policy, program, bar, ribbon, everything};
})();
