"""What a device has installed: whole releases side by side, and a link to the one that counts.

    STATE/current -> releases/7      models/, policies/ and keys/, as the repository offered them
    STATE/releases/7                 in use; 6: what was in use before, for whoever still reads it
    STATE/releases/incoming          what is being fetched; nobody reads it

A release is complete and admitted before the link moves, and moves in one step.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgeguard.admission.store import list_files, open_folder
from edgeguard.delivery.disk import cannot_write, move_folder, point, remove_tree, sync_tree
from edgeguard.errors import UsageError


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases below a device's state folder."""

    state: Path

    @property
    def current(self) -> Path:
        """The link to what is installed; it may not be there yet."""
        return self.state / "current"

    @property
    def incoming(self) -> Path:
        """What is being fetched."""
        return self.state / "releases" / "incoming"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other pull away. Raises: UsageError, one is under way or the folder cannot be used."""
        try:
            self.incoming.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                self.state / "pull.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise cannot_write(self.state, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise UsageError(f"another pull into `{self.state}` is under way: wait for it") from None
        finally:
            os.close(descriptor)

    def sweep(self, names: Collection[str]) -> None:
        """Leave only regular files with these names in `incoming`: what an earlier pull fetched and is still wanted."""
        self.incoming.mkdir(exist_ok=True)
        for where, folders, files in os.walk(self.incoming):
            for entry in [*folders, *files]:
                path = Path(where, entry)
                regular = path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1
                inside = path.is_dir() and not path.is_symlink()
                name = path.relative_to(self.incoming).as_posix()
                wanted = any(n.startswith(f"{name}/") for n in names) if inside else regular and name in names
                if not wanted:
                    remove_tree(path)

    def holds(self, folder: Path, names: Collection[str]) -> bool:
        """Whether there are exactly these files below a folder. Raises: AdmissionError, a link or worse is there."""
        if not folder.is_dir():
            return False
        with open_folder(str(folder)) as descriptor:
            return set(list_files(descriptor, str(folder))) == set(names)

    def install(self) -> Path:
        """Make what is incoming the release that counts. Returns its folder.

        Raises:
            UsageError: the disk fails; what was installed before stays.
        """
        releases = self.incoming.parent
        number = max((int(p.name) for p in releases.iterdir() if p.name.isdecimal()), default=0) + 1
        target = releases / str(number)
        try:
            before = os.path.basename(os.readlink(self.current)) if self.current.is_symlink() else ""  # noqa: PTH115, PTH119
            sync_tree(self.incoming)
            move_folder(self.incoming, target)
            point(self.current, f"releases/{number}")
        except OSError as error:
            raise cannot_write(target, error) from None
        for old in releases.iterdir():
            if old.name not in (str(number), before):
                remove_tree(old)
        return target

    def check_room(self, needed: int) -> None:
        """Raises: UsageError, the disk has not this many bytes left."""
        left = shutil.disk_usage(self.state).free
        if needed > left:
            raise UsageError(
                f"`{self.state}` has {left} bytes left and this pull needs {needed}: free some, then run it again"
            )
