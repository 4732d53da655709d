"""The page about keeping keys: its commands run as printed; on a token and in a TPM where there is one of software."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.software_token import LIBRARIES, PIN, soft_token
from tests.software_tpm import swtpm

if TYPE_CHECKING:
    from tests.software_token import SoftToken
    from tests.software_tpm import SoftwareTpm

__all__ = ["soft_token", "swtpm"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "keep-keys.md").read_text()
CALL = Callable[..., Any]


def blocks(language: str, name: str = "") -> list[str]:
    """What stands in the page's fenced blocks of a language, in order; of those with a `name`, or else without one."""
    fence = rf" \{{\.{language} \.{name}\}}" if name else language
    return re.findall(rf"^```{fence}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def shell(folder: Path, *script: str, **environment: str) -> str:
    """Run what the page prints in a project's folder; give back what it prints."""
    done = subprocess.run(
        ["bash", "-eu", "-c", 'edgeguard() { "$PYTHON" -m edgeguard "$@"; }\n' + "".join(script)],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "PRIVATE" not in done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(shutil.which("openssl") is None, reason="`openssl` is not installed")
def test_files_second_keys_rotation_and_revocation_run_as_printed(project: Any) -> None:
    said = shell(project.policy.parent, *blocks("sh"))
    shown = [line for block in blocks("text") for line in block.splitlines()]
    assert [line for line in shown if line not in said.splitlines()] == []
    text = project.policy.read_text()
    assert "keys/release-2.pub" in text
    assert "keys/release.pub" not in text
    assert 'note: "lost laptop"' in text


@pytest.mark.process
def test_the_token_s_part_runs_as_printed(project: Any, soft_token: SoftToken) -> None:
    (script,) = blocks("sh", "token")
    script = script.replace(LIBRARIES[0], soft_token.library)
    assert "admitted" in shell(project.policy.parent, script, EDGEGUARD_PIN=PIN)


@pytest.mark.process
def test_the_tpm_s_part_runs_as_printed(project: Any, swtpm: SoftwareTpm) -> None:
    (script,) = blocks("sh", "tpm")
    assert "admitted" in shell(project.policy.parent, script, EDGEGUARD_TPM=swtpm.tcti)


def test_what_the_page_writes_into_a_policy_is_valid(call: CALL, project: Any) -> None:
    from edgeguard.policy.load import check_policy

    (entry,) = blocks("yaml")
    keys = project.pub.parent
    call("keys", "new", keys / "release", "--post-quantum")
    signer = re.search(r"    - (\{key.*\})\n", entry)
    assert signer is not None
    from tests.hostile.bundles.builders import sha256

    pins = [sha256((keys / name).read_bytes()) for name in ("release.pub", "release.ml-dsa-65.pub")]
    new = signer[1].replace('"..."', f'"{pins[0]}"', 1).replace('"..."', f'"{pins[1]}"', 1)
    text = project.policy.read_text()
    old = re.search(r"\{key: keys/release\.pub, sha256: \"[0-9a-f]{64}\"\}", text)
    assert old is not None
    project.policy.write_text(text.replace(old[0], new))
    admission = check_policy(project.policy).policy.admission
    assert admission is not None
    assert admission.signers[0].post_quantum is not None
    assert admission.signers[0].post_quantum.sha256 == pins[1]
