"""The page about keeping keys: its part on certificates runs as printed, with OpenSSL's own tool as the authority."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.cli.test_page_keep_keys import blocks, shell


@pytest.mark.process
@pytest.mark.skipif(shutil.which("openssl") is None, reason="`openssl` is not installed")
def test_the_part_on_certificates_runs_as_printed(project: Any) -> None:
    (script,) = blocks("sh", "certificate")
    said = shell(project.policy.parent, script)
    assert "identity models@example.org" in said
    assert "{authority: keys/root.pem, sha256: " in said
