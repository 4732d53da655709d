"""Do the declared channels lead every frame to a worker and every suggestion back, and nothing anywhere else?"""

from __future__ import annotations

from collections.abc import Iterator

from edgeguard.policy.diagnostics import quote
from edgeguard.policy.findings import Findings
from edgeguard.policy.looks import workers
from edgeguard.policy.running import Channel
from edgeguard.policy.schema import Policy
from edgeguard.policy.source import Path

CAMERA, DECISION = "camera", "decision"
FRAME, SUGGESTION = "frame", "suggestion"


def lines(policy: Policy) -> tuple[tuple[str, str, str], ...]:
    """Every channel that exists as (from, to, what): the declared ones, or both of every worker where none are."""
    if policy.isolation is None:
        return ()
    if policy.isolation.channels is not None:
        return tuple((c.from_, c.to, c.carries) for c in policy.isolation.channels)
    return tuple(line for name in policy.isolation.workers for line in _both(name))


def _both(name: str) -> Iterator[tuple[str, str, str]]:
    yield CAMERA, name, FRAME
    yield name, DECISION, SUGGESTION


def check_channels(findings: Findings) -> None:
    """Report channels of the wrong kind, twice, from or to nobody, and workers that lack one."""
    isolation = findings.policy.isolation
    if isolation is None or isolation.channels is None:
        return
    seen: set[tuple[str, str, str]] = set()
    for i, channel in enumerate(isolation.channels):
        path: Path = ("isolation", "channels", i)
        line: tuple[str, str, str] = (channel.from_, channel.to, channel.carries)
        if line in seen:
            findings.at_value("EG1326", "this channel stands here a second time", path, "remove it")
        elif _possible(findings, channel, path):
            seen.add(line)
    for name in workers(findings.policy):
        for needed in _both(name):
            if needed not in seen:
                said = f"{{from: {needed[0]}, to: {needed[1]}, carries: {needed[2]}}}"
                message = f"worker {quote(name)} has no channel for its {needed[2]}s"
                findings.at_key("EG1326", message, ("isolation", "workers", name), f"add `{said}`")


def _possible(findings: Findings, channel: Channel, path: Path) -> bool:
    """Whether the channel leads from the camera to a worker, or from a worker to the decision."""
    known = workers(findings.policy)
    ends = (("from", channel.from_, CAMERA), ("to", channel.to, DECISION))
    strangers = [(key, end) for key, end, own in ends if end not in known and end != own]
    for key, end in strangers:
        message = f"nothing that a channel could lead {key} is called {quote(end)}"
        hint = findings.suggest(end, (*known, CAMERA if key == "from" else DECISION))
        findings.at_value("EG1326", message, (*path, key), hint)
    if strangers:
        return False
    shape = (channel.from_ in known, channel.to in known)
    carried = {(False, True): FRAME, (True, False): SUGGESTION}.get(shape)
    if carried is None:
        message = f"no channel leads from {quote(channel.from_)} to {quote(channel.to)}"
        hint = "frames lead from the camera to a worker, suggestions from a worker to the decision"
        findings.at_value("EG1326", message, path, hint)
        return False
    if channel.carries != carried:
        message = f"a channel from {quote(channel.from_)} to {quote(channel.to)} carries a {carried}"
        findings.at_value("EG1326", message, (*path, "carries"), f"write `carries: {carried}`")
    return channel.carries == carried
