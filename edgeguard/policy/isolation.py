"""Can each worker run what the policy gives it: known looks, each in one place, the filter beside its primary, a GPU
where a backend needs one?"""

from __future__ import annotations

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.findings import Findings
from edgeguard.policy.looks import FILTER, PLAIN, PRIMARY, SQUEEZED, bundles, homes, runnable, workers
from edgeguard.policy.models import GPU_BACKENDS
from edgeguard.policy.running import Worker
from edgeguard.policy.source import Path
from edgeguard.policy.sources import ENDS

_ADD = "add it under `models`, `filter` or `fused`"


def check_isolation(findings: Findings) -> None:
    """Report looks that nobody can run where the policy puts them, and workers given what they have no use for."""
    first: dict[str, str] = {}
    for name, worker in workers(findings.policy).items():
        path: Path = ("isolation", "workers", name)
        if name in ENDS:
            findings.at_key("EG1313", f"{quote(name)} has a meaning of its own", path, "choose another name")
        for i, what in enumerate(worker.runs):
            _runs(findings, what, (*path, "runs", i))
            if what in first:
                where = "here already" if first[what] == name else f"in {quote(first[what])} already"
                message = f"{quote(what)} runs {where}"
                findings.at_value("EG1325", message, (*path, "runs", i), "each look runs in one place")
            first.setdefault(what, name)
        _devices(findings, name, worker)
        for i, core in enumerate(worker.cpus or ()):
            if core in (worker.cpus or ())[:i]:
                findings.at_value("EG1331", f"core `{core}` stands here a second time", (*path, "cpus", i))
    _together(findings, first)


def _runs(findings: Findings, what: str, path: Path) -> None:
    """Whether there is such a look."""
    policy = findings.policy
    if what in runnable(policy):
        return
    if policy.fused and what in (PRIMARY, FILTER, PLAIN, SQUEEZED):
        message = f"the fused graph stands for {quote(what)}"
        findings.at_value("EG1325", message, path, "write `fused` instead")
    elif what == PLAIN and PRIMARY in bundles(policy):
        message = "`plain` is what the filter is compared with, and there is none"
        findings.at_value(
            "EG1325", message, path, "remove it: without a filter, `primary` sees the plain picture"
        )
    elif what in (PLAIN, SQUEEZED):
        findings.at_value("EG1302", "the policy has no primary model", path, _ADD)
    else:
        hint = findings.suggest(what, runnable(policy)) or _ADD
        findings.at_value("EG1302", f"the policy has no {what} model", path, hint)


def _together(findings: Findings, first: dict[str, str]) -> None:
    """The filter cleans the picture for its primary, in the same process; so both stand in one worker or in none."""
    policy = findings.policy
    if policy.filter is None or policy.fused or PRIMARY not in (policy.models or {}):
        return
    if first.get(FILTER) != first.get(PRIMARY):
        apart = FILTER if FILTER in first else PRIMARY
        other = PRIMARY if apart == FILTER else FILTER
        path = ("isolation", "workers", first[apart], "runs")
        message = f"{quote(apart)} runs apart from {quote(other)}"
        findings.at_value("EG1325", message, path, "write both in `runs` of one worker")


def _devices(findings: Findings, name: str, worker: Worker) -> None:
    """A GPU backend needs the GPU's device files, and nothing else does."""
    policy, path = findings.policy, ("isolation", "workers", name)
    found, where = bundles(policy), homes(policy)
    roles = [PRIMARY if what in (PLAIN, SQUEEZED) else what for what in where if where[what] == name]
    backends = [found[role].backend for role in roles if role in found]
    using = [backend for backend in backends if backend in GPU_BACKENDS]
    if using and not worker.devices:
        message = f"the backend {quote(using[0])} of {quote(name)} needs a GPU"
        findings.at_key("EG1331", message, path, "add `devices: [gpu]`")
    elif worker.devices and not using and "auto" not in backends:
        message = f"nothing in {quote(name)} runs on a GPU"
        findings.at_key("EG1331", message, (*path, "devices"), "remove it, or choose a GPU backend")
