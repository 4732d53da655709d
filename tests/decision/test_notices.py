"""Rules that only tell run as the others do, and take nothing."""

from __future__ import annotations

from edgeguard.decision.machine import Inputs
from edgeguard.decision.notices import Notices
from edgeguard.decision.table import RuleRow, Span, Truth
from edgeguard.types import Authority, Event, Mode, Status

WARN = RuleRow(
    "warm", 7, "heat > 60.0", Authority.RULES, hold=Span(frames=2), clear=Span(frames=1), reads=(0,),
    mode="warn", cause="the box is warm",
)  # fmt: skip
AUDIT = RuleRow("seen", 8, "heat > 50.0", Authority.HUMAN, latch=True, within=3.0, reads=(0,), mode="audit")
T, F = Truth.TRUE, Truth.FALSE


def said(
    notices: Notices, when: tuple[Truth, ...], now: float, *events: Event, mode: Mode = Mode.NOMINAL
) -> list[str]:
    clear = tuple(T if w is F else F for w in when)
    inputs = Inputs(when, clear, True, events)
    return [cause.rule for cause in notices.step(mode, inputs, (61.0,), (Status.PASS,), now)]


def test_a_notice_needs_its_debounce_and_ends_by_itself() -> None:
    notices = Notices((WARN,), ("heat",), {})
    assert not notices.active
    assert said(notices, (T,), 1.0) == []
    assert notices.active
    assert said(notices, (T,), 2.0) == ["warm"]
    assert said(notices, (F,), 3.0) == []
    assert not notices.active


def test_a_notice_says_its_mode_its_values_and_what_its_author_wrote() -> None:
    notices = Notices((WARN, AUDIT), ("heat",), {})
    inputs = Inputs((T, T), (F, F), True, ())
    notices.step(Mode.NOMINAL, inputs, (61.0,), (Status.PASS,), 1.0)
    warm, seen = notices.step(Mode.NOMINAL, inputs, (62.0,), (Status.PASS,), 2.0)
    assert (warm.rule, warm.mode, warm.says, warm.line) == ("warm", "warn", "the box is warm", 7)
    assert (warm.values, warm.since, warm.demands) == ({"heat": 62.0}, 2.0, Authority.RULES)
    assert (seen.mode, seen.since) == ("audit", 1.0)


def test_a_latched_notice_waits_for_the_operator() -> None:
    notices = Notices((AUDIT,), ("heat",), {})
    assert said(notices, (T,), 1.0) == ["seen"]
    assert said(notices, (F,), 2.0) == ["seen"]
    assert said(notices, (F,), 3.0, Event.RESET) == []
    assert said(notices, (T,), 4.0) == ["seen"]
    assert said(notices, (F,), 5.0, mode=Mode.STANDBY) == []


def test_nothing_is_told_while_models_are_admitted() -> None:
    notices = Notices((AUDIT,), ("heat",), {})
    assert said(notices, (T,), 1.0, mode=Mode.INIT) == []
    assert not notices.active


def test_a_notice_says_on_which_thresholds_it_holds() -> None:
    row = RuleRow(
        "odd", 9, "heat > calibrated.heat", Authority.RULES, reads=(0,), thresholds=("heat",), mode="warn"
    )
    notices = Notices((row,), ("heat",), {"heat": 55.0, "other": 1.0})
    (found,) = notices.step(Mode.NOMINAL, Inputs((T,), (F,), True, ()), (61.0,), (Status.PASS,), 1.0)
    assert found.thresholds == {"heat": 55.0}
