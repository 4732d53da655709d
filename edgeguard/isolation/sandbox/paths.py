"""What a worker has to read until it is sealed: this interpreter and its libraries. Nothing of the host's own data."""

from __future__ import annotations

import sys
from pathlib import Path

_SYSTEM = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/opt/nvidia",
    "/usr/local/cuda",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/dev/null",
    "/dev/urandom",
)

_GPU_DEVICES = (
    "/dev/nvidia0",
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
    "/dev/nvidia-caps",
    "/dev/nvidia-modeset",
    "/dev/nvmap",
    "/dev/nvhost-gpu",
    "/dev/nvhost-ctrl-gpu",
    "/dev/nvhost-as-gpu",
    "/dev/nvhost-ctrl",
    "/dev/nvgpu",
    "/dev/dri",
    "/dev/host1x-fence",
    "/dev/nvsciipc",
)

_GPU_FACTS = (
    "/proc/driver/nvidia",
    "/sys/bus/pci",
    "/sys/devices",
    "/sys/module/nvidia",
    "/etc/nv_tegra_release",
)


def loader_paths(*, gpu: bool = False) -> tuple[str, ...]:
    """Folders and files that importing, and loading a model from memory, read.

    Of the module path only what lies in this interpreter's own folders: a checkout beside it may hold keys.
    """
    package = str(Path(__file__).resolve().parents[2])
    prefixes = tuple(Path(prefix) for prefix in {sys.prefix, sys.base_prefix})
    own = [path for path in sys.path if path and any(prefix in Path(path).parents for prefix in prefixes)]
    library = str(Path(sys.base_prefix, "lib"))
    return tuple(dict.fromkeys((package, *own, library, *_SYSTEM, *(_GPU_FACTS if gpu else ()))))


def device_paths(*, gpu: bool) -> tuple[str, ...]:
    """Device files that a backend drives; none without a GPU."""
    return _GPU_DEVICES if gpu else ()
