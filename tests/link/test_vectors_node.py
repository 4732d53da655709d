"""frames.json against the npm package node-mavlink, where `tools/check-wire-with-node` has fetched it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FETCHED = sorted(path for path in (ROOT / "out" / "wire-node").glob("*") if "." not in path.name)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not FETCHED, reason="node-mavlink was not fetched: `make vectors` does it")
def test_node_mavlink_agrees_with_the_vectors() -> None:
    done = subprocess.run(
        [str(ROOT / "tools" / "check-wire-with-node"), "--offline"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 disagreements" in done.stdout
