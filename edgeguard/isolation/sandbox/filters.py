"""Which system calls a worker may make: while it loads its model, and once it is sealed. Tables; nothing is installed.

An allow-list: what is not here is refused (EPERM), and what no runtime ever needs ends the process. Once sealed, both
lists hold.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from edgeguard.isolation.sandbox.bpf import ENOSYS, EPERM, KILL, Check, Rule
from edgeguard.isolation.sandbox.kernel import PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, PR_SET_DUMPABLE
from edgeguard.isolation.sandbox.seccomp import SET_MODE_FILTER, TSYNC

PROT_WRITE = 2
PROT_EXEC = 4
MAP_ANONYMOUS = 0x20
_MAP_TYPE = 0x0F
_MAP_PRIVATE = 0x02
_MAP_UNCOUNTED = 0x0100 | 0x40000  # MAP_GROWSDOWN | MAP_HUGETLB
CLONE_THREAD_OF_SELF = 0x00010000 | 0x00000100 | 0x00000800  # CLONE_THREAD | CLONE_VM | CLONE_SIGHAND
CLONE_NEW_ANYTHING = 0x7E020080  # every CLONE_NEW* flag
O_WRONLY = 0o1
O_RDWR = 0o2
O_CREATES = 0o100 | 0o1000 | 0o20000000  # O_CREAT | O_TRUNC | the bit that makes O_TMPFILE
_ALL_64 = (1 << 64) - 1
_ALL_32 = (1 << 32) - 1

TCGETS = 0x5401
FIONBIO = 0x5421
FIONCLEX = 0x5450
FIOCLEX = 0x5451
_HARMLESS_IOCTLS = (TCGETS, FIONBIO, FIONCLEX, FIOCLEX)

# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GET_SEALS. F_SETOWN would have signals sent.
_FCNTLS = (0, 1, 2, 3, 4, 1030, 1034)

# PR_SET_PDEATHSIG, PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_CAPBSET_READ, PR_CAPBSET_DROP,
# PR_SET_NO_NEW_PRIVS, PR_SET_VMA: none of them gives anything back that was given up.
_PRCTLS = (1, 2, 3, 15, 16, 23, 24, 38, 0x53564D41)
_SCHED_FIFO = 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


HOSTILE = _words(
    # Into another process or the kernel, out of the view that the process was given, or a second way around a filter.
    "execve execveat ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd pidfd_send_signal "
    "mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr unshare setns "
    "keyctl add_key request_key io_uring_setup io_uring_enter io_uring_register bpf perf_event_open userfaultfd "
    "name_to_handle_at open_by_handle_at kexec_load kexec_file_load init_module finit_module delete_module reboot "
    "swapon swapoff acct quotactl iopl ioperm modify_ldt memfd_secret vhangup lookup_dcookie fanotify_init "
    "settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname"
)
"""No model runtime calls these. A process that tries is ended at once: it may not look for another way out."""

MEASURED = _words("write read poll ppoll clock_nanosleep brk")
"""What a worker with onnxruntime calls between two frames, once warm; `ppoll` is what `poll` is on aarch64."""

SPARE = _words(
    "futex munmap madvise mremap gettid clock_gettime gettimeofday time getcpu sched_yield getrandom getpid "
    "restart_syscall rt_sigreturn rt_sigprocmask rt_sigaction sched_getaffinity close exit exit_group"
)
"""What libc does when memory runs short or a lock is taken, what it may fall back to, signals, and the end."""

_STEADY = (*MEASURED, *SPARE)

_LOADING = _words(
    "readv writev pread64 lseek fstat newfstatat stat lstat statx access faccessat faccessat2 readlink readlinkat "
    "getdents64 getcwd dup set_robust_list rseq set_tid_address getrlimit sysinfo uname "
    "getrusage times getuid geteuid getgid getegid getresuid getresgid getgroups getppid getpgrp "
    "sched_getscheduler sched_getparam sched_get_priority_max sched_get_priority_min eventfd2 epoll_create1 "
    "epoll_ctl epoll_wait epoll_pwait select pselect6 membarrier capget capset fadvise64 msync get_mempolicy "
    "statfs fstatfs close_range sigaltstack clock_getres "
)

_GPU_LOADING = ("pipe2", "timerfd_create", "timerfd_settime", "set_mempolicy", "mbind", "mlock")

# TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP, FIOASYNC: type into a terminal, have signals sent to others.
_GPU_IOCTLS_REFUSED = (0x5412, 0x541C, 0x8901, 0x8902, 0x5452)

_NO_EXEC = Check(2, PROT_EXEC, 0)


def loading(*, gpu: bool, users: Sequence[int] = ()) -> tuple[Rule, ...]:
    """Until `seal`: read files, map libraries. No writing, no sockets, no processes; threads for a GPU's driver only.

    `users`: what it may become when it is sealed, because it is still the machine's root.
    """
    rules = [*_refused(), *map(Rule, (*_STEADY, *_LOADING)), *_memory(libraries=True)]
    rules += [
        Rule("openat", checks=(_no(2, _opening_refused(gpu=gpu)),)),
        Rule("open", checks=(_no(1, _opening_refused(gpu=gpu)),)),
        # The next filter; one that reports to a descriptor (SECCOMP_FILTER_FLAG_NEW_LISTENER) is not among them.
        Rule("seccomp", checks=(_is(0, SET_MODE_FILTER), _no(1, _ALL_64 & ~TSYNC))),
        # Limits and scheduling of this process itself: no further than the limits that it entered with.
        Rule("prlimit64", checks=(_is(0, 0),)),
        Rule("sched_setscheduler", checks=(_is(0, 0), _is(1, _SCHED_FIFO))),
        # On a connection that exists already; no address can be named.
        Rule("recvfrom", checks=(_no(4, _ALL_64),)),
        Rule("sendto", checks=(_no(4, _ALL_64),)),
    ]
    rules += [Rule("fcntl", checks=(_is(1, command),)) for command in _FCNTLS]
    rules += [Rule("prctl", checks=(_is(0, operation),)) for operation in _PRCTLS]
    rules.append(Rule("prctl", checks=(_is(0, PR_SET_DUMPABLE), _is(1, 0))))
    rules.append(Rule("prctl", checks=(_is(0, PR_CAP_AMBIENT), _is(1, PR_CAP_AMBIENT_CLEAR_ALL))))
    if users:
        rules.append(Rule("setgroups", checks=(_is(0, 0),)))
        rules += [
            Rule(call, checks=tuple(_is(argument, user) for argument in range(3)))
            for call in ("setresgid", "setresuid")
            for user in users
        ]
    return (*rules, *(_gpu_loading() if gpu else _ioctls()))


def steady(*, gpu: bool) -> tuple[Rule, ...]:
    """From `seal` on: wait on a descriptor it has, compute, answer. No file, no thread, no new executable memory."""
    return (*map(Rule, _STEADY), *_memory(libraries=False), *(_gpu_ioctls() if gpu else ()), *_refused())


def _refused() -> list[Rule]:
    # libc falls back to `clone`, whose flags a filter can read; those of `clone3` lie in memory, out of its sight.
    return [*(Rule(name, KILL) for name in HOSTILE), Rule("clone3", ENOSYS)]


def _memory(*, libraries: bool) -> list[Rule]:
    """No memory may be both written and run: code comes from files, while loading, and is never made.

    And none escapes the limit of memory, which counts neither what is shared nor what grows like a stack.
    """
    file = _no(3, MAP_ANONYMOUS | _MAP_UNCOUNTED)
    own = Check(3, _MAP_TYPE | _MAP_UNCOUNTED, _MAP_PRIVATE)
    rules = [Rule("mprotect", checks=(_NO_EXEC,))]
    rules += [Rule("mmap", checks=(_NO_EXEC, own)), Rule("mmap", checks=(_NO_EXEC, file))]
    if libraries:
        code = Check(2, PROT_EXEC | PROT_WRITE, PROT_EXEC)
        rules.append(Rule("mmap", checks=(code, file)))
    return rules


def _opening_refused(*, gpu: bool) -> int:
    """The flags of an opening that are refused. A device is opened for writing: which, only Landlock can tell."""
    return O_CREATES if gpu else O_WRONLY | O_RDWR | O_CREATES


def _gpu_loading() -> list[Rule]:
    thread = (Check(0, CLONE_THREAD_OF_SELF, CLONE_THREAD_OF_SELF), _no(0, CLONE_NEW_ANYTHING))
    # With threads, libc changes the user of each by a signal to it.
    own = Rule("tgkill", checks=(_is(0, os.getpid()),))
    return [*map(Rule, _GPU_LOADING), *_gpu_ioctls(), Rule("clone", checks=thread), own]


def _gpu_ioctls() -> list[Rule]:
    refused = [Rule("ioctl", EPERM, (_is(1, request),)) for request in _GPU_IOCTLS_REFUSED]
    return [*refused, Rule("ioctl")]


def _ioctls() -> list[Rule]:
    return [Rule("ioctl", checks=(_is(1, request),)) for request in _HARMLESS_IOCTLS]


def _is(argument: int, value: int) -> Check:
    """An argument that the kernel takes as 32 bits."""
    return Check(argument, _ALL_32, value)


def _no(argument: int, mask: int) -> Check:
    return Check(argument, mask, 0)
