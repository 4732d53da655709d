"""The page's scripts run from Python: in a real browser that has the page open, or in an engine without a document."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeguard.desk.page import html
from edgeguard.policy import DraftPolicy, compile_draft

HERE = Path(__file__).parent
POLICIES = sorted((HERE.parents[2] / "policies").glob("*.yaml"))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars",
)  # fmt: skip
PATIENCE = 120.0
"""s until a browser that says nothing is given up."""
AS_3_AND_4 = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
"""Where a browser expects its debugging pipe."""

Run = Callable[[DraftPolicy, str], Any]
"""(policy, body of a function) -> what the body returns. It sees `Engine`, `Trial`, `Gate`, `Words` and `program`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`policy_file`: every example policy, and one with everything that the language has."""
    if "policy_file" in metafunc.fixturenames:
        files = [*POLICIES, HERE / "everything.yaml"]
        metafunc.parametrize("policy_file", files, ids=[file.stem for file in files])


@pytest.fixture
def draft(policy_file: Path) -> DraftPolicy:
    return compile_draft(policy_file)


@pytest.fixture
def everything() -> DraftPolicy:
    return compile_draft(HERE / "everything.yaml")


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], DraftPolicy]:
    """Compile the text of a policy without models."""

    def compiled(text: str) -> DraftPolicy:
        file = tmp_path / "policy.yaml"
        file.write_text(text, encoding="utf-8")
        return compile_draft(file)

    return compiled


class Browser:
    """A headless chromium, spoken to over its debugging pipe. Nothing of a page is changed to test it."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        command = [
            sys.executable,
            "-c",
            AS_3_AND_4,
            *map(str, high),
            CHROMIUM,
            *FLAGS,
            "--remote-debugging-pipe",
        ]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"], pass_fds=high, stderr=subprocess.DEVNULL
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._out, self._in = ours_out, ours_in
        self._numbers = itertools.count(1)
        self._read = b""

    def close(self) -> None:
        self._send("Browser.close", {}, "")
        self._process.wait(timeout=PATIENCE)
        os.close(self._out)
        os.close(self._in)

    def evaluate(self, page: Path, expression: str) -> Any:
        """Open the page, wait until it is there, and evaluate."""
        target = self._ask("Target.createTarget", {"url": page.as_uri()})["targetId"]
        session = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        try:
            deadline = time.monotonic() + PATIENCE
            while (
                self._value("document.URL + ' ' + document.readyState", session)
                != f"{page.as_uri()} complete"
            ):
                assert time.monotonic() < deadline, "the page does not load"
                time.sleep(0.005)
            return self._value(expression, session)
        finally:
            self._ask("Target.closeTarget", {"targetId": target})

    def _value(self, expression: str, session: str) -> Any:
        wanted = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        said = self._ask("Runtime.evaluate", wanted, session)
        assert "exceptionDetails" not in said, said["exceptionDetails"]["exception"]["description"]
        return said["result"].get("value")

    def _ask(self, method: str, parameters: dict[str, Any], session: str = "") -> Any:
        number = self._send(method, parameters, session)
        deadline = time.monotonic() + PATIENCE
        while True:
            while b"\0" not in self._read:
                assert select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))[0], (
                    "no answer"
                )
                self._read += os.read(self._in, 1 << 20)
            message, self._read = self._read.split(b"\0", 1)
            said = json.loads(message)
            if said.get("id") == number:
                assert "result" in said, said
                return said["result"]

    def _send(self, method: str, parameters: dict[str, Any], session: str) -> int:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        data = json.dumps({**message, "sessionId": session} if session else message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        return number


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browse(chromium: Browser, tmp_path: Path) -> Run:
    """Run a body in the real page, opened from a file, after the page's own scripts."""

    def run(draft: DraftPolicy, body: str) -> Any:
        page = tmp_path / "page.html"
        page.write_text(html(draft), encoding="utf-8")
        return chromium.evaluate(page, f"(() => {{const program = Show.program; {body}}})()")

    return run


@pytest.fixture
def interpret() -> Run:
    """Run a body in QuickJS, with the scripts of the page but without a document."""
    quickjs = pytest.importorskip("quickjs", reason="no JavaScript engine is installed")

    def run(draft: DraftPolicy, body: str) -> Any:
        data, *scripts = re.findall(r"<script[^>]*>(.*?)</script>", html(draft), re.DOTALL)
        context = quickjs.Context()
        for script in scripts[:3]:  # the last two are about the document
            context.eval(script)
        prepared = f"const program = Engine.load(JSON.parse({json.dumps(data)}).table);"
        return json.loads(context.eval(f"{prepared} JSON.stringify((() => {{{body}}})())"))

    return run


@pytest.fixture(params=["browse", "interpret"])
def javascript(request: pytest.FixtureRequest) -> Run:
    """Both ways, for what needs no document."""
    found: Run = request.getfixturevalue(request.param)
    return found
