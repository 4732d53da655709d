"""The page as a reader uses it, in a real browser: what is set, what is shown, what is lit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeguard.desk.cases import embedded_cases
from edgeguard.policy import DraftPolicy

Run = Callable[[DraftPolicy, str], Any]

TOOLS = """
const click = (selector) => document.querySelector(selector).click();
const text = (selector) => document.querySelector(selector).textContent;
const row = (name) => document.querySelector(`[data-signal="${program.signals.findIndex((s) => s.name === name)}"]`);
const put = (name, what, value) => {
  const input = row(name).querySelector(what);
  if (input.type === "checkbox") input.checked = value; else input.value = value;
  input.dispatchEvent(new Event("input", {bubbles: true}));
};
const look = (view) => click(`input[value=${view}]`);
const shown = () => {
  return {
    word: text("#word"), seat: document.querySelector("#bar").dataset.authority, headline: text("#headline"),
    detail: text("#detail"), mode: document.querySelector(".mode.lit").dataset.mode,
    lit: [...document.querySelectorAll("#decisions tr.lit td[data-column=rule]")].map((cell) => cell.textContent),
    now: [...document.querySelectorAll("#decisions tr.lit td.now")].map((cell) => cell.textContent),
    ribbon: [...document.querySelectorAll("#ribbon .chip")].map((chip) => chip.textContent.slice(1)),
    causes: [...document.querySelectorAll(".cause header code")].map((code) => code.textContent),
    command: [...document.querySelectorAll("#actuators strong")].map((one) => Number(one.textContent)),
    fallback: document.querySelector("#fallback tr.lit").dataset.key,
    stepping: !document.querySelector("#stepping").hidden,
  };
};
const again = () => { // as a reader would: look elsewhere and back, so that what was typed is shown
  const view = document.querySelector("input[name=view]:checked").value;
  look(view === "lasting" ? "stepping" : "lasting");
  look(view);
};
"""


def test_the_page_opens_with_the_model_acting_and_nothing_lit(everything: DraftPolicy, browse: Run) -> None:
    seen = browse(everything, TOOLS + "return shown();")
    assert (seen["word"], seen["seat"], seen["mode"]) == ("MODEL", "model", "nominal")
    assert seen["headline"] == "Nothing speaks against the model."
    assert (seen["lit"], seen["ribbon"], seen["causes"]) == ([], ["MODEL"], [])
    assert not seen["stepping"]


def test_every_kind_of_control_reaches_the_verdict(everything: DraftPolicy, browse: Run) -> None:
    seen = browse(
        everything,
        TOOLS
        + """
        const found = [];
        const as = () => { again(); found.push(shown()); click("#calm"); };
        put("certainty", "input[type=range]", 0.2); put("distance", "[data-value]", 20); as();
        put("door_open", "[data-value]", true); as();
        put("answer", "[data-value]", 0); as();
        put("answer", "[data-value]", -1); as();
        put("speed", "[data-health]", "missing"); as();
        put("speed", "[data-health]", "stale"); as();
        put("speed", "[data-health]", "nan"); as();
        put("speed", "[data-value]", "61"); as();
        put("speed", "[data-value]", ""); as();
        put("disagreement", "[data-health]", "missing"); as();
        put("speed", "[data-value]", 50); put("wheel_speed", "[data-value]", 50); as();
        again();
        return [...found, shown()];
        """,
    )
    unsure, door, far, other, *speed, lost, fast, calm = seen
    assert (unsure["word"], unsure["ribbon"]) == ("RULES", ["MODEL", "RULES"])
    assert unsure["headline"] == "unsure: the classifier is not sure (certainty 0.2, distance 20 m)"
    assert (unsure["lit"], unsure["now"], unsure["fallback"]) == (["unsure"], ["active"], "1")
    assert unsure["command"] == [0.4, 0.1]  # when the envelope has let it go there
    assert (door["word"], door["mode"], door["lit"]) == ("SAFE STATE", "safe_state", ["doors"])
    assert far["ribbon"] == ["MODEL", "HUMAN", "RULES"]  # nobody takes over in time
    assert (far["word"], far["mode"]) == ("HUMAN", "takeover_request")
    assert "If nobody takes over: RULES after 375 ms" in far["detail"]
    assert far["headline"].endswith("(answer stop, distance 150 m)")
    assert other["word"] == "MODEL"
    for fault in speed:
        assert (fault["word"], fault["ribbon"]) == ("SAFE STATE", ["SAFE STATE"])
        assert "signal:speed" in fault["headline"]
        assert {"signal:speed", "doors", "two-speeds", "braking"} <= set(fault["lit"])  # they read it
    assert lost["ribbon"] == ["HUMAN", "RULES"]
    assert (fast["word"], fast["causes"]) == ("HUMAN", ["braking", "told", "noted"])
    assert calm["word"] == "MODEL"


def test_every_test_of_the_policy_comes_out_in_the_page_as_it_does_here(
    draft: DraftPolicy, browse: Run
) -> None:
    cases = embedded_cases(draft.document, draft.program)
    said = browse(
        draft,
        TOOLS
        + """
        return [...document.querySelectorAll("#presets button")].map((button) => {
          button.click();
          return [button.textContent, text("#preset-said p"), shown().stepping];
        });
        """,
    )
    assert [name for name, _, _ in said] == [case.name for case in cases]
    assert [said for _, said, _ in said] == [f"✓ {case.name}: as expected" for case in cases]


def test_a_test_that_fails_says_what_the_page_saw_instead(everything: DraftPolicy, browse: Run) -> None:
    said = browse(
        everything,
        TOOLS
        + """
        Show.policy.cases[0].phases[0].expect.authority = "human";
        document.querySelector("#presets button").click();
        return text("#preset-said");
        """,
    )
    assert "✗ doubt near a sign: not as expected" in said
    assert "✗ after 3 frames: authority human, not rules" in said
    assert "✓ after 3 frames: rule unsure" in said


def test_step_by_step_the_operator_stops_resets_and_arms(everything: DraftPolicy, browse: Run) -> None:
    seen = browse(
        everything,
        TOOLS
        + """
        look("stepping");
        const found = [[text("#bar #lead"), shown()]];
        const press = (event) => { click(`[data-event=${event}]`); found.push([text("#clock"), shown()]); };
        press("stop"); press("arm"); press("reset"); press("arm"); press("take"); press("release");
        press("stop"); press("take");
        click("#restart"); found.push([text("#clock"), shown()]);
        for (let i = 0; i < 4; i += 1) click("#frame");
        found.push([text("#clock"), shown()]);
        return found;
        """,
    )
    modes = [found["mode"] for _, found in seen]
    assert modes[:5] == ["nominal", "safe_state", "safe_state", "standby", "nominal"]
    assert modes[5:9] == ["manual", "nominal", "lockout", "lockout"]  # at the second entry, and for good
    assert modes[9:] == ["nominal", "nominal"]
    assert seen[0][0] == "Now, at 62.5 ms"
    assert "safe state entered 1 of 2 times" in seen[1][0]
    assert seen[1][1]["headline"] == "Stopped by the operator."
    assert seen[-1][0].startswith("NOMINAL at 281.3 ms")  # four frames on


def test_while_a_human_is_asked_the_time_left_and_the_alerts_are_shown(
    everything: DraftPolicy, browse: Run
) -> None:
    seen = browse(
        everything,
        TOOLS
        + """
        look("stepping");
        put("answer", "[data-value]", 0);
        const found = [];
        for (let i = 0; i < 8; i += 1) { click("#frame"); found.push(shown()); }
        return found;
        """,
    )
    asked = [one["detail"] for one in seen if one["mode"] == "takeover_request"]
    assert asked[0].endswith(" 250 ms left to take over.")
    assert asked[1].endswith(" 187.5 ms left to take over, alerts: visual.")
    assert asked[2].endswith(" 125 ms left to take over, alerts: visual, audible.")
    assert (seen[-1]["word"], seen[-1]["ribbon"]) == ("RULES", ["MODEL", "HUMAN", "RULES"])


def test_a_rule_shows_how_far_it_is_while_it_is_not_believed(everything: DraftPolicy, browse: Run) -> None:
    seen = browse(
        everything,
        TOOLS
        + """
        look("stepping");
        put("speed", "[data-value]", 9);
        click("#frame"); click("#frame");
        const on = shown();
        click("#frame");
        put("speed", "[data-value]", 3);
        const act = shown();
        click("#frame");
        return [on, act, shown()];
        """,
    )
    on, act, off = seen
    assert (on["now"], on["lit"], on["word"]) == (["holds for 2 of 3 frames"], ["two-speeds"], "MODEL")
    assert (act["now"], act["word"]) == (["active"], "RULES")
    assert (off["now"], off["word"]) == (["active, clear for 1 of 3 frames"], "RULES")


def test_the_model_s_suggestion_is_held_inside_the_envelope(everything: DraftPolicy, browse: Run) -> None:
    seen = browse(
        everything,
        TOOLS
        + """
        const suggest = (value) => document.querySelectorAll("[data-suggest]").forEach((one) => { one.value = value; });
        suggest(7); again();
        const limited = [shown(), text("#command-note")];
        suggest(""); again();
        return [...limited, shown(), text("#command-note")];
        """,
    )
    limited, note, none, other = seen
    assert (limited["word"], limited["command"]) == ("MODEL", [1, 0.6])
    assert note.startswith("The model's suggestion goes out, held inside the envelope.")
    assert (none["word"], none["headline"]) == ("RULES", "The model gives no usable command.")
    assert other.startswith("A fallback row commands.")


def test_playing_moves_time_on_and_pauses(everything: DraftPolicy, browse: Run) -> None:
    seen = browse(
        everything,
        TOOLS
        + """
        look("stepping"); click("#play");
        const playing = text("#play");
        const until = performance.now() + 100; while (performance.now() < until);
        click("#play");
        return [playing, text("#play")];
        """,
    )
    assert seen == ["Pause", "Play"]


def test_a_policy_that_cannot_be_armed_says_so(load: Callable[[str], DraftPolicy], browse: Run) -> None:
    draft = load(
        "edgeguard: 1\npolicy: {name: stuck, version: 1}\n"
        "signals: {speed: {from: context, range: [0, 60], max_age: 1s, nominal: 9}}\n"
        "rules: [{id: fast, when: speed > 5.0, then: rules, cause: it rolls}]\n"
        "envelope: {brake: {min: 0, max: 1, safe: 1}}\n"
    )
    seen = browse(draft, TOOLS + "return shown();")
    assert (seen["word"], seen["mode"]) == ("SAFE STATE", "standby")
    assert seen["headline"] == "fast: it rolls (speed 9)"
