"""`edgeguard pull`: fetch what a repository offers to this device, admit it, and only then install it.

python-tuf decides what is newest and genuine; admission decides what may run. Both must agree, or nothing changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api import exceptions as tuf
from tuf.api.metadata import Metadata, Root
from tuf.ngclient import Updater

from edgeguard.admission.reasons import Reason, refusal, shown
from edgeguard.delivery.disk import cannot_write, remove_tree, write_whole
from edgeguard.delivery.fetch import HttpFetcher
from edgeguard.delivery.folder import FolderFetcher
from edgeguard.delivery.offer import Offered, delegated, expiries, offered, refresh
from edgeguard.delivery.releases import Releases
from edgeguard.delivery.roles import device_role
from edgeguard.errors import AdmissionError, UsageError

if TYPE_CHECKING:
    from tuf.ngclient.fetcher import FetcherInterface

_LARGEST_ROOT = 512_000


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull left installed. `folder`: `STATE/current`. `changed`: False, it was installed already."""

    folder: Path
    names: tuple[str, ...]
    changed: bool
    fetched: int
    """Files that came from the repository; the others were here already."""
    own: bool
    """Whether the repository has a role for this device alone."""


def open_source(source: str, state: Path) -> FetcherInterface:
    """How to get at a repository by its web address or folder.

    Raises:
        UsageError: it is neither.
    """
    if "://" in source:
        return HttpFetcher(source, state / "parts")
    if not Path(source).is_dir():
        raise UsageError(f"`{source}` is neither a web address nor a folder: check that the stick is there")
    return FolderFetcher(Path(source))


def provision(state: Path, root: Path | None) -> bytes:
    """The root that this device was given once, by hand, as the beginning of all trust in a repository.

    Raises:
        UsageError: none was ever given, or another one than now.
        AdmissionError: what is given now is no root, or is not signed by its own keys.
    """
    pinned = state / "root.json"
    given = _read(root) if root is not None else None
    if not pinned.exists():
        if given is None:
            raise UsageError(
                "this device does not know the repository yet: give its root once with `--root root.json`"
            )
        with _explained(str(state)):
            _check_root(given)
            state.mkdir(mode=0o700, parents=True, exist_ok=True)  # private, as a floor in it has to be
            write_whole(pinned, given)
        return given
    known = _read(pinned)
    if given is not None and given != known:
        raise UsageError(
            f"this device was given another root already: leave out `--root`, or remove `{state}` to begin anew"
        )
    return known


def _check_root(data: bytes) -> None:
    """Refuse before it is kept what could never be a beginning."""
    metadata = Metadata.from_bytes(data)
    if not isinstance(metadata.signed, Root):
        raise tuf.RepositoryError(f"this is `{metadata.signed.type}` and not the root of a repository")
    metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)


def pull(
    fetcher: FetcherInterface,
    state: Path,
    root: bytes,
    check: Callable[[Path], None],
    *,
    device: str = "",
    now: float,
) -> Pulled:
    """Fetch, check and install what is offered to `device`. `check`: admits everything in a folder, or refuses it.

    `now`: how late it is at least, Unix s, besides what the clock says to python-tuf.

    Raises:
        AdmissionError: the repository or what it offers is refused; what is installed stays.
        UsageError: the repository cannot be reached or the disk written; what is installed stays.
    """
    releases = Releases(state)
    with releases.locked(), _explained(str(state)):
        store = state / "metadata"
        store.mkdir(exist_ok=True)
        updater = Updater(
            str(store), "metadata/", target_base_url="targets/", fetcher=fetcher, bootstrap=root
        )
        with _of_a_kind():
            refresh(updater, device)
            _check_expiries(store, device, now)
            files = offered(updater, store, device)
        names = tuple(file.name for file in files)
        own = bool(device) and device_role(device) in delegated(store)
        if _is_whole(releases, names) and not _missing(updater, files, releases.current):
            check(releases.current)
            return Pulled(releases.current, names, changed=False, fetched=0, own=own)
        releases.sweep(names)
        _reuse(updater, files, releases)
        missing = _missing(updater, files, releases.incoming)
        releases.check_room(2 * sum(file.target.length for file in missing))
        for file in missing:
            _fetch(updater, fetcher, file, releases.incoming)
        if not releases.holds(releases.incoming, names):
            raise UsageError(f"`{releases.incoming}` was changed while it was filled: run it again")
        check(releases.incoming)
        releases.install()
        remove_tree(state / "parts")  # of files that are offered no more
        return Pulled(releases.current, names, changed=True, fetched=len(missing), own=own)


def _is_whole(releases: Releases, names: Sequence[str]) -> bool:
    """Whether what is installed has these files and nothing else; what somebody put there is replaced."""
    try:
        return releases.holds(releases.current, names)
    except AdmissionError:
        return False


def _missing(updater: Updater, files: Sequence[Offered], folder: Path) -> list[Offered]:
    return [
        file for file in files if updater.find_cached_target(file.target, str(folder / file.name)) is None
    ]


def _reuse(updater: Updater, files: Sequence[Offered], releases: Releases) -> None:
    """Copy what is installed already; whether a copy is good is seen afterwards."""
    for file in _missing(updater, files, releases.incoming):
        installed, place = releases.current / file.name, releases.incoming / file.name
        plain = installed.is_file() and not installed.is_symlink()
        if plain and updater.find_cached_target(file.target, str(installed)) is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(installed, place)


def _fetch(updater: Updater, fetcher: FetcherInterface, file: Offered, folder: Path) -> None:
    place = str(folder / file.name)
    try:
        updater.download_target(file.target, place)
    except tuf.LengthOrHashMismatchError:
        if not getattr(fetcher, "resumed", False):
            raise
        updater.download_target(
            file.target, place
        )  # what was kept of an earlier attempt was bad, and is gone now
    if updater.find_cached_target(file.target, place) is None:
        raise tuf.LengthOrHashMismatchError(f"`{file.name}` changed while it was copied")


def _check_expiries(store: Path, device: str, now: float) -> None:
    """python-tuf asks the clock alone; a device with a wrong one still knows how late it is at least."""
    for role, expires in expiries(store, device):
        if expires <= now:
            raise refusal("expired", f"{role}.json", _STALE)


_STALE = "the repository was not renewed in time, or an old one is shown to this device: have it renewed"
_REFUSALS: Sequence[tuple[type[Exception], Reason, str]] = (
    (
        tuf.UnsignedMetadataError,
        "below-threshold",
        "too few of its keys signed it: have it signed by more of them",
    ),
    (tuf.ExpiredMetadataError, "expired", _STALE),
    (
        tuf.BadVersionNumberError,
        "rollback",
        "this device has seen a newer one: have the newest repository put there",
    ),
    (
        tuf.LengthOrHashMismatchError,
        "digest-mismatch",
        "it is not what was signed: copy the repository again",
    ),
    (tuf.DownloadLengthMismatchError, "too-large", "it is longer than was signed: copy the repository again"),
    (tuf.RepositoryError, "metadata-invalid", "it is not as a repository must be: copy the repository again"),
)


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn what python-tuf raises into our refusals, and what the network and the disk do into errors of usage."""
    try:
        yield
    except (tuf.RepositoryError, tuf.DownloadLengthMismatchError) as error:
        reason, advice = next(
            (reason, advice) for kind, reason, advice in _REFUSALS if isinstance(error, kind)
        )
        said = shown((str(error).splitlines() or [type(error).__name__])[0]).rstrip(".")
        raise refusal(reason, "repository", f"{said[:1].lower()}{said[1:]}; {advice}") from None
    except tuf.DownloadError as error:
        said = shown((str(error).splitlines() or ["no answer"])[0])
        raise UsageError(f"{said}: nothing has changed and what arrived is kept; run it again") from None
    except OSError as error:
        raise cannot_write(Path(where), error) from None


@contextmanager
def _of_a_kind() -> Iterator[None]:
    """python-tuf does not look at the kind of every value that a role signed: a number where a name belongs, say."""
    try:
        yield
    except (AttributeError, ArithmeticError, LookupError, TypeError, ValueError):
        raise tuf.RepositoryError("a value is of the wrong kind") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_ROOT + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read `{path}`: {(error.strerror or 'unknown').lower()}; check the path"
        ) from None
    if len(data) > _LARGEST_ROOT:
        raise UsageError(f"`{path}` is too large to be a root: check the path")
    return data
