"""One real host, killed on its way: the firmware's own process falls back in time, and the vehicle stops."""

from __future__ import annotations

from functools import partial

from hil import launch
from hil.profile import Profile
from hil.results import FALLBACK_AT_MOST
from hil.scenario import draw, load_all
from hil.virtual import policy_of

KILLED = next(s for s in load_all() if s.scenario == "host-killed")


def test_a_killed_host_is_followed_by_the_firmware_within_150_ms(signed: Profile) -> None:
    program = policy_of(signed).program
    starts = [
        partial(launch.start, KILLED, draw(KILLED, 0), arm, program, signed)
        for arm in ("guarded", "unguarded")
    ]
    heard: list[str] = []
    drives = {d.arm: d for d in launch.run_all(starts, 2, lambda drive: heard.append(drive.arm))}
    assert sorted(heard) == ["guarded", "unguarded"]
    assert drives["guarded"].refused == ""
    assert drives["guarded"].fallback is not None
    assert drives["guarded"].fallback <= FALLBACK_AT_MOST
    assert not drives["guarded"].violation
    assert drives["unguarded"].violation
    assert drives["guarded"].memory is not None


def test_a_host_that_cannot_start_is_reported_and_ends(signed: Profile) -> None:
    program = policy_of(signed).program
    wrong = Profile("wrong", signed.policy, signed.trust.with_name("nobody.pub"))
    (drive,) = launch.run_all(
        [partial(launch.start, KILLED, draw(KILLED, 0), "guarded", program, wrong)], 1, lambda _: None
    )
    assert "nobody.pub" in drive.refused
    assert drive.fallback is None
