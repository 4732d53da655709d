"""A checked document and its calibrated thresholds become a `Program`: the table and one compiled function.

Opens no file. What is missing here (a threshold) is a finding with a place in the policy, like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeguard.decision.table import RuleRow, Span, Table
from edgeguard.policy.calibration import Calibration
from edgeguard.policy.declared import declared, limits
from edgeguard.policy.deployment import (
    absolute,
    admission_terms,
    due,
    model_refs,
    realtime,
    schedule,
    security_version,
    switch,
    worker_specs,
)
from edgeguard.policy.diagnostics import START, Report, quote, suggest
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.expr.codegen import Condition, build
from edgeguard.policy.local import terms
from edgeguard.policy.looks import PRIMARY, measure
from edgeguard.policy.pace import frame_period
from edgeguard.policy.qualification import check_qualification
from edgeguard.policy.risk import check_risk
from edgeguard.policy.schema import Actuator, Policy, SignalDeclaration
from edgeguard.policy.sources import FAULT_PREFIX, bound_to_frames
from edgeguard.policy.triggers import Trigger
from edgeguard.program import (
    ActuatorLimit,
    FallbackRow,
    Feedback,
    LinkSettings,
    LocalRule,
    Microcontroller,
    Program,
    SensorSpec,
    SignalSpec,
)
from edgeguard.types import NO_VALUES, Authority, Command

HEALTHY_FRAMES = 5
"""Frames (or the time of so many) that a signal must be healthy without a break before its fault clears."""

OTHERWISE = "otherwise"
"""What stands for the condition of a row without one."""

_AUTHORITY: Mapping[str, Authority] = {a.name.lower(): a for a in Authority}


def compile_policy(
    document: PolicyDocument, *, base: Path, calibration: Calibration | None = None
) -> Program:
    """The runnable form of `document`. Relative paths in it count from the folder `base`.

    Raises:
        PolicyError: a `calibrated.NAME` has no threshold, or the calibration is another policy's.
    """
    policy = document.policy
    thresholds = calibration.thresholds if calibration else NO_VALUES
    _check_calibration(document, calibration)
    signals = signal_specs(document)
    index = {spec.name: i for i, spec in enumerate(signals)}
    trees = document.conditions
    enforced = [trigger for trigger in document.triggers if trigger.mode == "enforce"]
    watched = [trigger for trigger in document.triggers if trigger.mode != "enforce"]
    compiled = build(
        list(index),
        thresholds,
        [Condition(trigger.when, trigger.clear) for trigger in enforced],
        [
            trees.get(("fallback", i, "when"), tree.Bool(0, 0, value=True))
            for i in range(len(policy.fallback))
        ],
        [Condition(trigger.when, trigger.clear) for trigger in watched],
    )
    explicit = [_rule_row(trigger, index) for trigger in enforced]
    implicit = [_fault_row(document, i, spec) for i, spec in enumerate(signals)]
    return Program(
        name=policy.policy.name,
        version=policy.policy.version,
        digest=document.digest,
        signals=signals,
        table=Table((*explicit, *implicit), policy.lockout_after),
        when=compiled.when,
        clear=compiled.clear,
        choose=compiled.choose,
        fallback=tuple(
            FallbackRow(document.line(("fallback", i)), row.when or OTHERWISE, Command(dict(row.command)))
            for i, row in enumerate(policy.fallback)
        ),
        watched=tuple(_rule_row(trigger, index) for trigger in watched),
        envelope=tuple(_limit(name, actuator) for name, actuator in policy.envelope.items()),
        models=model_refs(document, base=base),
        workers=worker_specs(policy),
        schedule=schedule(policy),
        due=due(document, list(index), thresholds),
        switch=switch(policy),
        realtime=realtime(policy),
        security_version=security_version(policy),
        admission=admission_terms(document, base=base),
        calibration=absolute(base, policy.calibration) if policy.calibration else "",
        thresholds=dict(thresholds),
        link=_link(policy, base),
        microcontroller=_microcontroller(document),
        handover=tuple((s.after, s.alert) for s in policy.handover.escalate) if policy.handover else (),
        ftti=policy.ftti,
        period=policy.period,
        frame_period=frame_period(policy),
        disclosure=policy.disclosure.outputs,
        log_flush=policy.log.flush,
    )


def signal_specs(document: PolicyDocument) -> tuple[SignalSpec, ...]:
    """The declared signals in file order."""
    return tuple(_signal(document, name, signal) for name, signal in document.policy.signals.items())


def _signal(document: PolicyDocument, name: str, signal: SignalDeclaration) -> SignalSpec:
    spec = declared(name, signal)
    return SignalSpec(
        name=name,
        source=_source(signal),
        measure=measure(name, signal) if signal.of else "",
        of=tuple(sorted(signal.of or (), key=lambda role: role != PRIMARY)),
        low=spec.low,
        high=spec.high,
        max_age=signal.max_age,
        unit=spec.unit,
        line=document.line(("signals", name)),
        on_fault=_AUTHORITY[signal.on_fault],
        kind=spec.kind,
        labels=spec.labels,
        worse=spec.worse,
        nominal=spec.nominal,
    )


def _source(signal: SignalDeclaration) -> str:
    return signal.from_ or "+".join(signal.of or ())


def _check_calibration(document: PolicyDocument, calibration: Calibration | None) -> None:
    report = Report(document.file)
    known = calibration.thresholds if calibration else NO_VALUES
    env = {f"calibrated.{name}": value for name, value in known.items()}
    if calibration is not None and calibration.policy != document.policy.policy.name:
        message = f"{quote(calibration.file)} was made for the policy {quote(calibration.policy)}"
        place = document.source.value(("calibration",)) if document.policy.calibration else START
        report.add("EG1314", message, place, "calibrate this policy with `edgeguard calibrate`")
    for path, node in document.conditions.items():
        if path[0] == "invariants":
            continue
        missing = [part for part in tree.calibrated(node) if part.name not in known]
        for part in missing:
            place = document.source.inside(path, part.at)
            if calibration is None:
                message = f"`calibrated.{part.name}` needs a calibration"
                report.add("EG1307", message, place, "run `edgeguard calibrate`")
            else:
                message = f"the calibration has no threshold for {quote(part.name)}"
                report.add("EG1308", message, place, suggest(part.name, known))
        for part in tree.calibrated(node):
            low, high = limits(document.policy.signals[part.name])
            if not low <= known.get(part.name, low) <= high:
                message = f"the threshold {known[part.name]:g} is outside the range of {quote(part.name)}"
                hint = f"its range is {low:g} to {high:g}: calibrate again with `edgeguard calibrate`"
                report.add("EG1317", message, document.source.inside(path, part.at), hint)
        overflow = None if missing else _overflow(node, env)
        if overflow is not None:
            report.add("EG1206", "this constant is too large", document.source.inside(path, overflow.at))
    check_risk(document, calibration.risk if calibration else None, report, certified=known)
    roles = [ref.role for ref in model_refs(document, base=Path())]
    check_qualification(document, calibration.qualification if calibration else None, roles, report)
    report.raise_if_any()


def _overflow(node: tree.Node, env: interpreter.Env) -> tree.Node | None:
    """A sum of constants that is not finite: it would be a fault at every step. Each part is looked at once, and a sum
    is computed as a whole, for whatever is not finite in it shows in the result."""
    reading = _reading(node)
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, tree.Arithmetic) or id(part) in reading:
            waiting.extend(reversed(tree.children(part)))
        elif interpreter.number(part, env) is None:
            return part
    return None


def _reading(node: tree.Node) -> frozenset[int]:
    """Of all parts of `node`, the identities of those that read a signal."""
    found: set[int] = set()
    for part in reversed(tuple(tree.walk(node))):  # what is in a part stands behind it
        if isinstance(part, (tree.Name, tree.Flag)) or any(id(p) in found for p in tree.children(part)):
            found.add(id(part))
    return frozenset(found)


def _rule_row(trigger: Trigger, index: Mapping[str, int]) -> RuleRow:
    return RuleRow(
        id=trigger.id,
        line=trigger.line,
        text=trigger.text,
        then=trigger.then,
        hold=trigger.hold,
        clear=trigger.let_go,
        clear_text=trigger.clear_text,
        latch=trigger.latch,
        within=trigger.within,
        otherwise=trigger.otherwise,
        reads=tuple(index[name] for name in tree.names(trigger.when)),
        thresholds=tree.thresholds(trigger.when),
        mode=trigger.mode,
        cause=trigger.cause,
    )


def _fault_row(document: PolicyDocument, i: int, spec: SignalSpec) -> RuleRow:
    signal = document.policy.signals[spec.name]
    seconds = HEALTHY_FRAMES * frame_period(document.policy)
    return RuleRow(
        id=FAULT_PREFIX + spec.name,
        line=spec.line,
        text=f"`{spec.name}` is missing, stale, not a number or outside {spec.low:g} to {spec.high:g}",
        then=spec.on_fault,
        clear=Span(frames=HEALTHY_FRAMES) if bound_to_frames(spec.source) else Span(seconds=seconds),
        clear_text=f"`{spec.name}` is healthy",
        within=signal.within or 0.0,
        otherwise=_AUTHORITY[signal.otherwise or "safe_state"],
        reads=(i,),
    )


def _limit(name: str, actuator: Actuator) -> ActuatorLimit:
    rise = float("inf") if actuator.rise is None else actuator.rise
    fall = float("inf") if actuator.fall is None else actuator.fall
    given = actuator.feedback
    feedback = Feedback(given.lead, given.max_age) if given else None
    authority = _AUTHORITY[actuator.authority]
    return ActuatorLimit(
        name, actuator.min, actuator.max, rise, fall, actuator.safe, feedback=feedback, authority=authority
    )


def _microcontroller(document: PolicyDocument) -> Microcontroller:
    own = document.policy.microcontroller
    if own is None:
        return Microcontroller()
    names = tuple(own.sensors)
    rules = []
    for i, row in enumerate(own.fallback):
        path = ("microcontroller", "fallback", i)
        node = document.local.get((*path, "when"))
        holds = () if node is None else terms(node, names)
        rules.append(LocalRule(document.line(path), row.when or OTHERWISE, holds, Command(dict(row.command))))
    sensors = (SensorSpec(name, *sensor.range, sensor.max_age) for name, sensor in own.sensors.items())
    return Microcontroller(own.stop, tuple(sensors), tuple(rules))


def _link(policy: Policy, base: Path) -> LinkSettings | None:
    link = policy.link
    if link is None:
        return None
    key = absolute(base, link.key) if link.key else ""
    operator = absolute(base, link.operator_key) if link.operator_key else ""
    return LinkSettings(link.port, link.baud, link.heartbeat, link.lost_after, key, operator)
