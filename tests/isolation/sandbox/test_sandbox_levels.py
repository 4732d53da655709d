"""What `enter` and `seal` do to a process, layer by layer, and what they say where a layer cannot be had."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.errors import UsageError
from edgeguard.isolation.sandbox import Jail, Level, jail
from edgeguard.isolation.sandbox.levels import LAYERS, NEEDS, reached

Confined = Callable[..., dict[str, Any]]

WHOLE = """
jail = Jail({options})
enter(jail)
found = seal(jail)
tell(level=int(found.level), layers=dict(found.layers))
"""


def whole(options: str = "keep=(1, 2)") -> str:
    return WHOLE.format(options=options)


@given(
    st.dictionaries(
        st.sampled_from(LAYERS), st.sampled_from(["on", "on (how)", "not asked for", "only", "one"])
    )
)
def test_a_level_is_reached_only_when_all_its_layers_and_all_below_are_on(layers: dict[str, str]) -> None:
    got = reached(layers)
    on = {name for name, state in layers.items() if state in {"on", "on (how)"}}
    for level in Level:
        needed = {name for below in Level if below <= level for name in NEEDS[below]}
        assert (got.level >= level) == (needed <= on)
    assert set(got.layers) == set(LAYERS)


def test_off_changes_nothing_and_reports_that(confined: Confined) -> None:
    told = confined(
        """
before = (resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_FSIZE))
jail = Jail(Level.OFF)
enter(jail)
found = seal(jail)
same = before == (resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_FSIZE))
tell(level=int(found.level), layers=dict(found.layers), same=same, runs=os.system("true"))
"""
    )
    assert (told["level"], told["same"], told["runs"]) == (0, True, 0)
    assert set(told["layers"].values()) == {"not asked for"}


def test_the_process_level_sets_no_filter(confined: Confined) -> None:
    told = confined(
        whole("Level.PROCESS, keep=(1, 2)") + "tell(looks=outcome(lambda: os.stat('/etc/passwd')))"
    )
    assert told["level"] == 1
    assert told["layers"]["seccomp"] == "not asked for"
    assert told["looks"] == "done"


def test_a_kernel_without_filters_reaches_the_process_level_and_says_why(confined: Confined) -> None:
    told = confined(whole(), without="seccomp")
    assert told["level"] == 1
    assert told["layers"]["seccomp"] == "left out by EDGEGUARD_SANDBOX_WITHOUT"


@pytest.mark.parametrize(
    "without", ["namespaces", "landlock,namespaces", " landlock , namespaces ", "landlock,mounts"]
)
def test_without_landlock_or_namespaces_the_level_is_filtered(without: str, confined: Confined) -> None:
    assert confined(whole(), without=without)["level"] == 2


def test_it_leaves_every_namespace_that_it_can_leave_by_itself(confined: Confined) -> None:
    kinds = ("net", "ipc", "uts", "mnt", "cgroup") + (("user",) if os.getuid() != 0 else ())
    told = confined(
        f"""
found = enter(Jail(keep=(1, 2)))
tell(state=found.layers["namespaces"], own={{k: os.readlink(f"/proc/self/ns/{{k}}") for k in {kinds!r}}})
""",
        without="seccomp,landlock,mounts",
    )
    if told["state"] != "on":
        pytest.skip(f"this machine has no namespaces for it: {told['state']}")
    assert [kind for kind in kinds if told["own"][kind] == str(Path("/proc/self/ns", kind).readlink())] == []


def test_a_worker_that_cannot_leave_root_keeps_no_capability_and_is_not_strict(confined: Confined) -> None:
    if os.getuid() != 0:
        pytest.skip("this test's process is not root")
    told = confined(
        """
from edgeguard.isolation.sandbox import privileges
privileges.leave_root = lambda: "is root, and cannot leave it: refused"
jail = Jail(keep=(1, 2), readable=("/etc/shadow", "/usr/lib"))
later = enter(jail).layers["user"]
found = seal(jail)
tell(later=later, level=int(found.level), user=found.layers["user"], left=privileges.capabilities())
""",
        without="seccomp,mounts",
    )
    assert (told["later"], told["left"]) == ("when sealed", 0)
    assert told["user"].startswith("is root")
    assert told["level"] < 3


@pytest.mark.parametrize("without", ["landlock", "mounts"])
def test_either_fence_around_the_files_is_enough(without: str, confined: Confined) -> None:
    told = confined(whole(), without=without)
    other = {"landlock": "mounts", "mounts": "landlock"}[without]
    if told["layers"][other] != "on":
        pytest.skip(f"this machine does not have the other: {told['layers'][other]}")
    assert told["layers"]["files"] in {"on (own mounts)", "on (Landlock)"}
    if told["layers"]["namespaces"] == "on":
        assert told["level"] == 3


def test_its_own_network_leads_nowhere_even_without_filter_and_landlock(confined: Confined) -> None:
    told = confined(
        """
import socket
found = enter(Jail(keep=(1, 2)))
def connect():
    with socket.socket() as line:
        line.connect(("127.0.0.1", 9))
def says(act):
    try:
        act()
    except OSError as error:
        return error.strerror
tell(state=found.layers["namespaces"], got=says(connect), interfaces=[name for _, name in socket.if_nameindex()])
""",
        without="seccomp,landlock",
    )
    if told["state"] != "on":
        pytest.skip(f"this machine has no namespaces for it: {told['state']}")
    assert told["got"] == "Network is unreachable"
    assert "eth0" not in told["interfaces"]


def test_the_environment_can_only_lower_a_level(confined: Confined) -> None:
    assert confined(whole(), without="nothing,on,strict")["level"] == confined(whole())["level"]


def test_a_process_enters_one_jail_once(confined: Confined) -> None:
    told = confined("enter(Jail(keep=(1, 2)))\ntell(again=outcome(lambda: enter(Jail())))")
    assert told["again"] == "UsageError"


def test_a_process_with_threads_enters_no_jail(confined: Confined) -> None:
    """Landlock and capabilities are each thread's own: on the others they would not hold."""
    told = confined(
        """
wait = threading.Event()
thread = threading.Thread(target=wait.wait)
thread.start()
tell(got=outcome(lambda: enter(Jail(keep=(1,)))))
wait.set()
thread.join()
"""
    )
    assert told["got"] == "UsageError"


def test_nothing_is_sealed_that_was_not_entered() -> None:
    assert jail._layers == {}
    with pytest.raises(UsageError, match="`enter` comes before `seal`"):
        jail.seal(Jail())


def test_every_descriptor_but_the_kept_ones_is_closed(confined: Confined) -> None:
    told = confined(
        """
kept, other = os.pipe()
enter(Jail(keep=(1, kept)))
tell(kept=outcome(lambda: os.fstat(kept)), other=outcome(lambda: os.fstat(other)))
tell(null=os.fstat(0).st_rdev == os.fstat(2).st_rdev == os.makedev(1, 3))
"""
    )
    assert (told["kept"], told["other"], told["null"]) == ("done", "OSError", True)


def test_a_sealed_process_gets_no_new_descriptor_and_still_polls_all_it_has(confined: Confined) -> None:
    told = confined(
        """
import select
pipes = [os.pipe() for _ in range(20)]
kept = tuple(end for pipe in pipes for end in pipe)
jail = Jail(keep=(1, *kept))
enter(jail); seal(jail)
poll = select.poll()
for end in kept:
    poll.register(end)
tell(ready=len(poll.poll(0)), new=outcome(lambda: os.dup(1)), limit=outcome(lambda: os.eventfd(0)))
"""
    )
    assert told["ready"] == 20
    assert (told["new"], told["limit"]) == ("PermissionError", "PermissionError")


def test_memory_ends_at_its_limit_and_shared_memory_does_not_count(confined: Confined) -> None:
    told = confined(
        """
import mmap
room = os.memfd_create("room")
os.ftruncate(room, 256 << 20)
jail = Jail(keep=(1, room), memory=128 << 20)
enter(jail)
shared = mmap.mmap(room, 256 << 20)
seal(jail)
tell(little=outcome(lambda: bytes(16 << 20)), much=outcome(lambda: bytes(200 << 20)))
"""
    )
    assert (told["little"], told["much"]) == ("done", "MemoryError")


def test_limits_only_ever_go_down(confined: Confined) -> None:
    told = confined(
        "resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))\n"
        "state = enter(Jail(keep=(1,), memory=1 << 40)).layers['limits']\n"
        "tell(state=state, left=resource.getrlimit(resource.RLIMIT_DATA))"
    )
    assert (told["state"], told["left"]) == ("on", [64 << 20, 64 << 20])


def test_every_limit_is_set_both_softly_and_hard(confined: Confined) -> None:
    """Each by itself: a filter that refuses the same thing would hide one that is missing."""
    told = confined(
        """
jail = Jail(keep=(1, 2), memory=1 << 30)
enter(jail); seal(jail)
names = ("CORE", "FSIZE", "MSGQUEUE", "MEMLOCK", "NPROC", "DATA", "AS")
tell(**{name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names})
tell(thread=outcome(threading.Thread(target=print).start), new=outcome(lambda: os.dup(1)))
""",
        without="seccomp",
    )
    assert {told[name][1] for name in ("CORE", "FSIZE", "MSGQUEUE", "MEMLOCK", "NPROC")} == {0}
    assert (told["DATA"], told["AS"]) == ([1 << 30] * 2, [9 << 30] * 2)
    assert (told["thread"], told["new"]) == ("RuntimeError", "OSError")


def test_no_program_could_regain_a_capability_or_a_group(confined: Confined) -> None:
    told = confined(
        """
from edgeguard.isolation.sandbox import kernel
os.setgroups([4711]) if os.getuid() == 0 else None
root = os.getuid() == 0
jail = Jail(keep=(1, 2))
enter(jail); seal(jail)
bounding = [c for c in range(41) if kernel.prctl(kernel.PR_CAPBSET_READ, c)]
tell(root=root, bounding=bounding, groups=os.getgroups(), gains=kernel.prctl(39))
""",
        without="seccomp",
    )
    assert told["gains"] == 1
    if told["root"]:
        assert (told["bounding"], told["groups"]) == ([], [])


@pytest.mark.parametrize("without", ["seccomp", "seccomp,mounts"])
def test_it_dumps_no_core(without: str, confined: Confined) -> None:
    """Also not once it became another user, which makes a process dumpable again."""
    told = confined(
        """
from edgeguard.isolation.sandbox import kernel
enter(Jail(keep=(1,)))
tell(core=resource.getrlimit(resource.RLIMIT_CORE), dumpable=kernel.prctl(kernel.PR_GET_DUMPABLE))
seal(Jail(keep=(1,)))
tell(sealed=kernel.prctl(kernel.PR_GET_DUMPABLE))
""",
        without=without,
    )
    assert (told["core"], told["dumpable"], told["sealed"]) == ([0, 0], 0, 0)


@pytest.mark.parametrize("without", ["", "mounts", "namespaces"])
def test_it_has_no_capability_left(without: str, confined: Confined) -> None:
    told = confined(
        """
from edgeguard.isolation.sandbox import privileges
jail = Jail(keep=(1,), fifo=10)
enter(jail); seal(jail)
tell(left=privileges.capabilities())
""",
        without=f"seccomp,{without}",  # which would keep the question from it as well
    )
    assert told["left"] == 0


@pytest.mark.parametrize("readable", ["('/usr/lib',)", "('/etc/shadow', '/usr/lib')"])
def test_a_root_host_makes_a_worker_that_is_not_root(readable: str, confined: Confined) -> None:
    """At once, or when it is sealed: where it still has to read what nobody else may."""
    if os.getuid() != 0:
        pytest.skip("this test's process is not root")
    asks = "tell(user=os.getresuid(), group=os.getresgid(), groups=os.getgroups())"
    told = confined(whole(f"keep=(1, 2), readable={readable}") + asks, without="seccomp")
    assert 0 not in {*told["user"], *told["group"]}
    assert told["groups"] == []


def test_becoming_another_user_leaves_the_signal_of_the_hosts_death_in_place(confined: Confined) -> None:
    told = confined(
        """
from edgeguard.isolation.sandbox import kernel
kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)
jail = Jail(keep=(1,))
room = ctypes.c_int(0)
enter(jail); seal(jail)
tell(told=outcome(lambda: kernel.prctl(kernel.PR_GET_PDEATHSIG, ctypes.addressof(room))), signal=room.value)
""",
        without="seccomp",
    )
    assert (told["told"], told["signal"]) == ("done", 9)


def test_a_filter_holds_on_threads_that_started_before_it(confined: Confined) -> None:
    """Only a GPU's driver may start threads, and only while loading."""
    told = confined(
        """
import queue
jail = Jail(keep=(1, 2), gpu=True)
enter(jail)
asked, answered = queue.Queue(), queue.Queue()
def work():
    asked.get()
    answered.put(outcome(lambda: os.open("/dev/null", os.O_RDONLY)))
thread = threading.Thread(target=work)
thread.start()
before = outcome(lambda: os.close(os.open("/dev/null", os.O_RDONLY)))
found = seal(jail)
asked.put(None)
tell(before=before, after=answered.get(), state=found.layers["seccomp"], users=found.layers["user"])
thread.join()
"""
    )
    assert (told["before"], told["after"], told["state"]) == ("done", "PermissionError", "on")


def test_every_thread_stops_being_root(confined: Confined) -> None:
    if os.getuid() != 0:
        pytest.skip("this test's process is not root")
    told = confined(
        """
import queue
jail = Jail(keep=(1, 2), gpu=True)
enter(jail)
asked, answered = queue.Queue(), queue.Queue()
def work():
    asked.get()
    from edgeguard.isolation.sandbox import privileges
    answered.put((os.getuid(), privileges.capabilities()))
thread = threading.Thread(target=work)
from edgeguard.isolation.sandbox import privileges
thread.start()
seal(jail)
asked.put(None)
user, left = answered.get()
tell(user=user, left=left)
thread.join()
""",
        without="seccomp,mounts",  # so that a closed interpreter's folder makes it wait until it is sealed
    )
    assert told["user"] != 0
    assert told["left"] == 0


def test_a_cpu_that_is_not_there_is_reported(confined: Confined) -> None:
    told = confined(whole("keep=(1, 2), cpus=(4000,)"))
    assert told["layers"]["affinity"].startswith("cpus 4000: ")
    assert told["level"] >= 2


def test_it_runs_on_its_cpus_only(confined: Confined) -> None:
    mine = min(os.sched_getaffinity(0))
    told = confined(whole(f"keep=(1, 2), cpus=({mine},)") + "tell(cpus=sorted(os.sched_getaffinity(0)))")
    assert told["cpus"] == [mine]


def test_real_time_priority_is_taken_when_sealed_and_the_right_to_it_given_back(confined: Confined) -> None:
    told = confined(
        """
jail = Jail(keep=(1, 2), fifo=5)
later = enter(jail).layers["scheduling"] == "when sealed"
loading = os.sched_getscheduler(0)
found = seal(jail)
tell(state=found.layers["scheduling"], loading=loading, later=later, level=int(found.level))
tell(mine=os.sched_getscheduler(0), limit=resource.getrlimit(resource.RLIMIT_RTPRIO), burst=resource.getrlimit(15))
""",
        without="seccomp",
    )
    if told["state"] != "on":
        pytest.skip(f"not permitted on this machine: {told['state']}")
    assert told["loading"] == (os.SCHED_OTHER if told["later"] else os.SCHED_FIFO)
    assert (told["mine"], told["limit"], told["burst"]) == (os.SCHED_FIFO, [0, 0], [2_000_000, 2_000_000])


def test_a_priority_that_is_not_permitted_is_reported(confined: Confined) -> None:
    if resource.getrlimit(resource.RLIMIT_RTPRIO)[1] > 0:
        pytest.skip("this user may take real-time priority")
    told = confined(
        "os.setuid(4711) if os.getuid() == 0 else None\n"
        "jail = Jail(keep=(1, 2), fifo=5, readable=('/usr/lib',))\nenter(jail)\nfound = seal(jail)\n"
        "tell(state=found.layers['scheduling'], level=int(found.level))"
    )
    assert told["state"] == "real-time priority 5 is not permitted to this user"
    assert told["level"] >= 2


def test_a_real_time_worker_that_never_waits_is_ended(confined: Confined) -> None:
    told = confined(
        """
from edgeguard.isolation.sandbox import limits
limits._LONGEST_BURST = 100_000
jail = Jail(keep=(1, 2), fifo=1)
enter(jail)
tell(state=seal(jail).layers["scheduling"])
while os.sched_getscheduler(0) == os.SCHED_FIFO:
    pass
""",
        without="seccomp",
    )
    if told["state"] != "on":
        pytest.skip(f"not permitted on this machine: {told['state']}")
    assert told["ended"] < 0


def test_importing_the_jail_loads_nothing_heavy() -> None:
    code = "import sys; import edgeguard.isolation.sandbox; print(sorted(m for m in sys.modules))"
    # Unmeasured: what measures coverage imports things of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert not any(name in done.stdout for name in ("'numpy'", "'subprocess'", "'json'", "sandbox.wrapping"))
