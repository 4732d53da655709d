"""Are the declared signals real, and does each declaration agree with itself: source, type, range, unit, nominal?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgeguard.policy.declared import limits, number
from edgeguard.policy.diagnostics import quote
from edgeguard.policy.dimension import ONE, parse_unit, shown
from edgeguard.policy.findings import Findings
from edgeguard.policy.looks import bundles, measure, redundant
from edgeguard.policy.schema import SignalDeclaration
from edgeguard.policy.source import Path
from edgeguard.policy.sources import (
    ANSWERS,
    FAULT_WORDS,
    MODEL_SIGNALS,
    OTHER_SIGNALS,
    SECONDS,
    TRUTHS,
    Takes,
    every_name,
)

ADD_MODEL = "add it under `models` or `filter`"

_NOT_FOR: Mapping[str, tuple[str, ...]] = {
    "number": ("labels",),
    "bool": ("labels", "range", "unit"),
    "class": ("range", "unit", "worse"),
}
_NEEDS = {"number": "range", "class": "labels"}
_ARTICLE = {"number": "a number", "bool": "a truth", "class": "a class"}


def check_signals(findings: Findings) -> None:
    """Report every signal that does not exist or contradicts itself."""
    for name, signal in findings.policy.signals.items():
        path = ("signals", name)
        if (signal.of is None) == (signal.from_ is None):
            message = f"signal {quote(name)} needs either `of` or `from`"
            findings.at_key("EG1102", message, path, "`of` names models, `from` anything else")
        elif _exists(findings, name, signal):
            _measured(findings, name, signal)
        _type(findings, name, signal)
        findings.budget(path, "on_fault", signal.on_fault, signal.within, signal.otherwise)
    _ageing(findings)


def _ageing(findings: Findings) -> None:
    """With models, something must grow stale when no picture comes: else the last answer acts for ever."""
    given = findings.policy.signals.items()
    if findings.policy.models and not any(
        s.of or s.from_ == "frame" or name == "latency" for name, s in given
    ):
        hint = "declare a signal of the models, such as `certainty`; its `max_age` bounds the answer's age"
        findings.at_key("EG1318", "no signal tells how old an answer is", ("models",), hint)


def _exists(findings: Findings, name: str, signal: SignalDeclaration) -> bool:
    """Whether its source gives it; of models, only those that it is computed from."""
    if signal.measure is not None and (signal.of is None or name in every_name()):
        message = f"{quote(name)} says what it is without `measure`"
        findings.at_key("EG1321", message, ("signals", name, "measure"), "remove it, or choose another name")
    elif signal.measure in ANSWERS and signal.type == "class":
        message = "a class of a model is its answer without `measure`"
        findings.at_key("EG1321", message, ("signals", name, "measure"), "remove it")
    if signal.from_ is not None:
        known = OTHER_SIGNALS.get(signal.from_)
        if signal.from_ == "context" and name in every_name():
            message = f"{quote(name)} is measured by the guard itself, `context` may not give it"
            findings.at_key("EG1311", message, ("signals", name), "choose another name")
        elif known is not None and name not in known:
            _no_such(findings, name, f"`{signal.from_}` gives", known, ("signals", name))
        else:
            return True
        return False
    return _of_models(findings, name, signal)


def _of_models(findings: Findings, name: str, signal: SignalDeclaration) -> bool:
    """Whether what is measured exists; and of which models, which must be those that it is computed from."""
    what, path = measure(name, signal), ("signals", name, "of")
    if what not in MODEL_SIGNALS:
        place = ("signals", name, "measure") if signal.measure else ("signals", name)
        _no_such(findings, what, "models give", every_name(), place)
        return False
    given = signal.of or ()
    others = redundant(findings.policy)
    if what == "answer" and name not in MODEL_SIGNALS:
        single = len(given) == 1 and given[0] not in ("filter", "fused")
        wanted: tuple[str, ...] = () if single else ("one classifier", "nothing else")
    else:
        wanted = _wanted(what, given)
    if wanted:
        listed = _example(MODEL_SIGNALS[what], others) if what != "answer" else "primary"
        message = f"{quote(what)} is computed of {' and '.join(wanted)}"
        findings.at_value("EG1311", message, path, f"write `of: [{listed}]`")
    findings.twice("EG1311", "model", ((role, (*path, i)) for i, role in enumerate(given)))
    for i, role in enumerate(given):
        if role not in bundles(findings.policy):
            findings.at_value("EG1302", f"the policy has no {role} model", (*path, i), ADD_MODEL)
    return True


def _wanted(what: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """The models that `what` is computed of, in words; nothing where `given` are such."""
    takes = MODEL_SIGNALS[what]
    extra = [role for role in given if role not in takes.roles]
    fine = takes.least <= len(extra) <= takes.most and "filter" not in extra and "fused" not in extra
    if fine and set(takes.roles) <= set(given):
        return ()
    more = {0: (), 1: ("one redundant model",)}.get(takes.most, ("one or more redundant models",))
    return (*takes.roles, *more)


def _example(takes: Takes, others: tuple[str, ...]) -> str:
    more = others or ("redundant", "third")
    return ", ".join((*takes.roles, *more[: takes.most]))


def _no_such(findings: Findings, name: str, giver: str, known: Iterable[str], path: Path) -> None:
    message = f"{giver} no signal called {quote(name)}"
    findings.at_key("EG1311", message, path, findings.suggest(name, known))


def _measured(findings: Findings, name: str, signal: SignalDeclaration) -> None:
    """What the guard measures itself has a type and a unit of its own."""
    if signal.from_ == "context":
        return
    what = measure(name, signal) if signal.of else name
    allowed = ("class",) if what in ANSWERS else ("number", "bool") if what in TRUTHS else ("number",)
    path = ("signals", name)
    if signal.type not in allowed:
        message = f"{quote(name)} is {_ARTICLE[allowed[0]]}"
        spot = (*path, "type") if "type" in signal.model_fields_set else path
        findings.at_key("EG1321", message, spot, f"write `type: {allowed[0]}`")
    real = parse_unit("s") if what in SECONDS else ONE
    if signal.unit and parse_unit(signal.unit) != real:
        message = f"{quote(name)} is measured as {shown(real)}, not in {quote(signal.unit)}"
        findings.at_value("EG1207", message, (*path, "unit"), "write `unit: s`" if what in SECONDS else "")
    most = len(signal.of or ())
    if what == "votes" and signal.range and not (signal.range[0] >= 0 and signal.range[1] <= most):
        message = f"{quote(name)} counts from 1 to {most}"
        findings.at_value("EG1321", message, (*path, "range"), f"write `range: [0, {most}]`")


def _type(findings: Findings, name: str, signal: SignalDeclaration) -> None:
    """The keys that a type needs, and those that it has no use for."""
    path = ("signals", name)
    needed = _NEEDS.get(signal.type)
    if needed is not None and getattr(signal, needed) is None:
        where = f"`signals.{name}`"
        findings.at_key("EG1102", f"{where} needs `{needed}`", path)
    for key in _NOT_FOR[signal.type]:
        if key in signal.model_fields_set:
            message = f"`{key}` is not for {_ARTICLE[signal.type]}"
            findings.at_key(
                "EG1321", message, (*path, key), f"remove it, or change the `type` of {quote(name)}"
            )
    labels: Path = (*path, "labels")
    findings.twice("EG1320", "label", ((text, (*labels, i)) for i, text in enumerate(signal.labels or ())))
    for i, label in enumerate(signal.labels or ()):
        if label in FAULT_WORDS:
            message = f"{quote(label)} has a meaning of its own"
            findings.at_value("EG1313", message, (*labels, i), "choose another name")
    _nominal(findings, name, signal)


def _nominal(findings: Findings, name: str, signal: SignalDeclaration) -> None:
    """What is normal must be possible."""
    value = signal.nominal
    if value is None:
        return
    path = ("signals", name, "nominal")
    low, high = limits(signal)
    if isinstance(value, bool) is not (signal.type == "bool") or isinstance(value, str) is not (
        signal.type == "class"
    ):
        wanted = {"number": "a number", "bool": "`true` or `false`", "class": "one of its labels"}[
            signal.type
        ]
        findings.at_value("EG1321", f"the nominal value of {quote(name)} must be {wanted}", path)
    elif isinstance(value, str):
        if value not in (signal.labels or ()):
            message = f"{quote(name)} has no label {quote(value)}"
            findings.at_value("EG1302", message, path, findings.suggest(value, signal.labels or ()))
    elif not low <= number(signal, value) <= high:
        message = f"the nominal value of {quote(name)} is outside its range"
        findings.at_value("EG1321", message, path, f"its range is {low:g} to {high:g}")
