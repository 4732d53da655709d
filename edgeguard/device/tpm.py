"""A TPM 2.0 as four verbs: count, read, seal and unseal, by way of the commands of tpm2-tools.

No shell, no path search, no secret on a command line or on the disk. What is done with a count or a secret stands
elsewhere; a TPM that does not answer, or answers anything unexpected, is an error and never a default.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgeguard.admission.reasons import shown
from edgeguard.errors import UsageError

TPM = "EDGEGUARD_TPM"
"""Names the TPM, as tpm2-tools do; else `device:/dev/tpmrm0`."""
OWNER = "EDGEGUARD_TPM_OWNER"
"""A file with the password of the TPM's owner, where it has one."""
MAX_SECRET_BYTES = 128
"""What every TPM 2.0 can seal at once."""
SRK = "0x81000001"
"""Where the storage key of a provisioned TPM lies (TCG): it needs no password of the owner's."""
OWNER_INDICES = (0x01800000, 0x01BFFFFF)
"""First and last handle that an owner's NV index may have."""

_DEFAULT = "device:/dev/tpmrm0"
_TCTI = re.compile(r"(device|swtpm|mssim|tabrmd)(:[A-Za-z0-9_./,=:-]*)?")
_FOLDERS = ("/usr/bin", "/usr/local/bin", "/bin")
_SECONDS = 60.0
_SHA256 = 0x000B
_COUNTER_BYTES = 8
_DEFINED = 0x02040014
"""Attributes of our counters: AUTHWRITE, type COUNTER, AUTHREAD, NO_DA; and nothing else."""
_WRITTEN = 0x20000000
_NO_SUCH_HANDLE = ("0x18B", "0x0000018b")
_NAME = re.compile(r"^\s+name: ([0-9a-f]{68})$", re.MULTILINE)
_PCRS = re.compile(r"sha(?:1|256|384|512):(?:[0-9]|1[0-9]|2[0-3])(?:,(?:[0-9]|1[0-9]|2[0-3]))*")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret that only the TPM that sealed it gives back. `public`, `private`: TPM2B structures, neither secret."""

    public: bytes
    private: bytes
    pcrs: str = ""
    """The state of the boot that it is bound to, such as `sha256:0,2,7`; empty: to none."""
    parent: str = "owner"
    """The storage key above it: `owner`, made anew each time, or the one that lies at `0x81000001`."""


class Tpm(Protocol):
    """What edgeguard asks of a TPM. Every method raises UsageError when the TPM does not do it."""

    def counter_create(self, index: int, auth: bytes) -> int:
        """Make a counter that only rises, usable by whoever has `auth` (32 bytes); return its first value.

        The first value is higher than that of every counter that was ever removed from this TPM.
        """

    def counter_read(self, index: int, auth: bytes) -> int | None:
        """Return the counter's value; None: there is no such counter."""

    def counter_increment(self, index: int, auth: bytes) -> None:
        """Raise the counter by one."""

    def seal(self, secret: bytes, pcrs: str = "") -> Sealed:
        """Seal 1 to `MAX_SECRET_BYTES` bytes under the storage hierarchy, to this TPM and the PCRs as they are now."""

    def unseal(self, sealed: Sealed) -> bytes:
        """Give a sealed secret back, if this TPM sealed it and its PCRs are what they were."""


def open_tpm() -> Tpm:
    """Return the TPM that the environment names.

    Raises:
        UsageError: the name is no TPM's, or the commands of tpm2-tools are not installed.
    """
    return Tpm2Tools(os.environ.get(TPM) or _DEFAULT, os.environ.get(OWNER, ""))


class Tpm2Tools:
    """See `Tpm`. One command a step; a secret goes in by standard input and comes out by standard output."""

    def __init__(self, tcti: str, owner: str = "") -> None:
        """`tcti`: such as `device:/dev/tpmrm0`. `owner`: a file with the owner's password; empty: it has none."""
        if not _TCTI.fullmatch(tcti):
            raise UsageError(
                f"`{shown(tcti)}` is not how a TPM is named: set `{TPM}` to something like `{_DEFAULT}`"
            )
        self._environment = {"TPM2TOOLS_TCTI": tcti, "TSS2_LOG": "all+ERROR", "LC_ALL": "C"}
        self._tcti = tcti
        self._owner = ["-P", f"file:{owner}"] if owner else []
        _tool("tpm2_nvread")

    def counter_create(self, index: int, auth: bytes) -> int:
        """See `Tpm`."""
        if self._name_of(index) is not None:
            raise UsageError(
                f"the TPM holds something under {_handle(index)} already: choose another index; or, if it counted for "
                f"a floor that is to be forgotten, remove it with `tpm2_nvundefine -C o {_handle(index)}`"
            )
        attributes = "nt=counter|authwrite|authread|no_da"
        define = ["-C", "o", *self._owner, "-s", str(_COUNTER_BYTES), "-g", "sha256", "-a", attributes]
        self._run("nvdefine", _handle(index), *define, "-p", "file:-", given=_password(auth))
        self.counter_increment(index, auth)
        value = self.counter_read(index, auth)
        if value is None:
            raise UsageError(f"the TPM made the counter {_handle(index)} and does not have it: try another")
        return value

    def counter_read(self, index: int, auth: bytes) -> int | None:
        """See `Tpm`."""
        name = self._name_of(index)
        if name is None:
            return None
        if name not in (_name(index, _DEFINED), _name(index, _DEFINED | _WRITTEN)):
            raise UsageError(f"the TPM holds something else under {_handle(index)} than edgeguard's counter")
        where = ["-C", _handle(index), "-P", "file:-", "-s", str(_COUNTER_BYTES)]
        value = self._run("nvread", _handle(index), *where, given=_password(auth))
        if len(value) != _COUNTER_BYTES:
            raise UsageError(f"the TPM's counter {_handle(index)} has {len(value)} bytes, not 8")
        return int.from_bytes(value, "big")

    def counter_increment(self, index: int, auth: bytes) -> None:
        """See `Tpm`."""
        self._run("nvincrement", _handle(index), "-C", _handle(index), "-P", "file:-", given=_password(auth))

    def seal(self, secret: bytes, pcrs: str = "") -> Sealed:
        """See `Tpm`."""
        if not 1 <= len(secret) <= MAX_SECRET_BYTES:
            raise UsageError(f"a TPM seals 1 to {MAX_SECRET_BYTES} bytes at once, not {len(secret)}")
        storage = "owner" if self._try("readpublic", "-Q", "-c", SRK).returncode else SRK
        with self._objects(storage) as (folder, parent):
            public, private = folder / "public", folder / "private"
            bound = ["-a", "fixedtpm|fixedparent|noda|userwithauth"]
            if pcrs:
                self._run(
                    "createpolicy", "-Q", "--policy-pcr", "-l", _pcrs(pcrs), "-L", str(folder / "policy")
                )
                bound = ["-a", "fixedtpm|fixedparent|noda|adminwithpolicy", "-L", str(folder / "policy")]
            files = ["-u", str(public), "-r", str(private)]
            self._run("create", "-Q", "-C", parent, "-i", "-", *files, *bound, given=secret)
            return Sealed(public.read_bytes(), private.read_bytes(), pcrs, storage)

    def unseal(self, sealed: Sealed) -> bytes:
        """See `Tpm`."""
        with self._objects(sealed.parent) as (folder, parent):
            public, private, loaded = folder / "public", folder / "private", str(folder / "loaded")
            public.write_bytes(sealed.public)
            private.write_bytes(sealed.private)
            self._run("load", "-Q", "-C", parent, "-u", str(public), "-r", str(private), "-c", loaded)
            self._flush()
            unlock = ["-p", f"pcr:{_pcrs(sealed.pcrs)}"] if sealed.pcrs else []
            return self._run("unseal", "-c", loaded, *unlock)

    @contextmanager
    def _objects(self, storage: str) -> Iterator[tuple[Path, str]]:
        """A folder for this operation, and the storage key as the tools name it; what the TPM holds for it is freed."""
        with tempfile.TemporaryDirectory(prefix="edgeguard-tpm-") as folder:
            context = f"{folder}/parent"
            try:
                if storage == "owner":
                    self._run("createprimary", "-Q", "-C", "o", *self._owner, "-G", "ecc256", "-c", context)
                    self._flush()
                yield Path(folder), context if storage == "owner" else SRK
            finally:
                self._flush()

    def _flush(self) -> None:
        """Free what commands leave behind where no resource manager does it: three objects fill a TPM."""
        self._run("flushcontext", "-t")
        self._run("flushcontext", "-l")

    def _name_of(self, index: int) -> str | None:
        """The name of what lies there, which the TPM computes of all that defines it; None: nothing does."""
        done = self._try("nvreadpublic", _handle(index))
        said = done.stderr.decode(errors="replace")
        if any(code in said for code in _NO_SUCH_HANDLE):  # some releases of the tool then crash besides
            return None
        if done.returncode:
            raise self._failed("nvreadpublic", said)
        name = _NAME.search(done.stdout.decode(errors="replace"))
        return name[1] if name else ""

    def _run(self, verb: str, *arguments: str, given: bytes = b"") -> bytes:
        done = self._try(verb, *arguments, given=given)
        if done.returncode:
            raise self._failed(verb, done.stderr.decode(errors="replace"))
        return done.stdout

    def _try(self, verb: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str] = [_tool(f"tpm2_{verb}"), *arguments]
        try:
            return subprocess.run(  # noqa: S603 - an absolute path, no shell, our own arguments
                command,
                input=given,
                capture_output=True,
                timeout=_SECONDS,
                env=self._environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UsageError(
                f"the TPM `{self._tcti}` did not answer `tpm2_{verb}` within {_SECONDS:.0f} s: check the TPM"
            ) from None
        except OSError as error:
            raise UsageError(
                f"cannot start `{command[0]}`: {(error.strerror or 'unknown').lower()}"
            ) from None

    def _failed(self, verb: str, said: str) -> UsageError:
        lines = [line.partition("ERROR: ")[2] for line in said.splitlines() if line.startswith("ERROR: ")]
        why = shown(lines[0]) if lines else "it gave no reason"
        return UsageError(f"the TPM `{self._tcti}` refused `tpm2_{verb}`: {why}; check `{TPM}` and the TPM")


def _tool(name: str) -> str:
    for folder in _FOLDERS:
        path = f"{folder}/{name}"
        if os.access(path, os.X_OK):
            return path
    raise UsageError(f"`{name}` is not in {', '.join(_FOLDERS)}: install the package tpm2-tools")


def _handle(index: int) -> str:
    first, last = OWNER_INDICES
    if not first <= index <= last:
        raise UsageError(
            f"`{index:#010x}` is no owner's NV index: choose one from {first:#010x} to {last:#010x}"
        )
    return f"{index:#010x}"


def _pcrs(pcrs: str) -> str:
    if not _PCRS.fullmatch(pcrs):
        raise UsageError(f"`{shown(pcrs)}` names no PCRs: write them like `sha256:0,2,7`")
    return pcrs


def _password(auth: bytes) -> bytes:
    return b"hex:" + auth.hex().encode()


def _name(index: int, attributes: int) -> str:
    """A TPM's name of an NV index: the hash algorithm, and the hash of all that defines the index (TPM 2.0, part 1)."""
    public = struct.pack(">IHIHH", index, _SHA256, attributes, 0, _COUNTER_BYTES)
    return f"{_SHA256:04x}{hashlib.sha256(public).hexdigest()}"
