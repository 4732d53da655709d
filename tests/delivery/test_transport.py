"""The line and the server: broken, slow, endless and lying. What arrived is kept, what is wrong is not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeguard.delivery.fetch import HttpFetcher
from edgeguard.delivery.pull import open_source
from edgeguard.errors import UsageError
from tests.refusals import Refused

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher
    from tests.delivery.builders_server import Server

MODEL = "models/signs/model.onnx"


@pytest.fixture
def parts(device: Device) -> Callable[[], list[Path]]:
    return lambda: list((device.state / "parts").glob("*.part"))


@pytest.mark.parametrize("at", [0, 1, 7, 100, 208])
def test_a_pull_goes_on_where_the_line_broke(
    device: Device, publisher: Publisher, server: Server, at: int
) -> None:
    size = publisher.target(MODEL).stat().st_size
    assert size > 208
    device.fetcher = server.fetcher(device.state)
    device.fetcher.attempts = 1
    server.behaviour.cut = [10**6] * 3 + [at]  # the fourth target is the model, in the order of names
    with pytest.raises(UsageError, match="what arrived is kept") as caught:
        device.pull()
    assert caught.value.exit_code == 2
    assert device.installed() == {}
    server.behaviour.asked.clear()
    server.behaviour.cut.clear()
    assert device.pull().changed
    asked = [(path, wanted) for path, wanted in server.behaviour.asked if path.startswith("/targets")]
    assert len(asked) == 4  # the three that arrived whole are not asked for again
    assert asked[0][0].endswith("model.onnx")
    assert asked[0][1] == (f"bytes={at}-" if at else "")
    assert device.installed()[MODEL]


def test_a_line_that_breaks_often_is_taken_up_again_within_one_pull(
    device: Device, server: Server, parts: Callable[[], list[Path]]
) -> None:
    server.behaviour.cut = [5, 9, 10**6, 3, 40]
    assert device.pull(server.address).changed
    assert parts() == []


def test_a_line_that_gives_nothing_is_given_up(device: Device, server: Server) -> None:
    server.behaviour.cut = [0] * 100
    with pytest.raises(UsageError, match="the connection broke after 0 bytes"):
        device.pull(server.address)
    assert len([path for path, _ in server.behaviour.asked if path.startswith("/targets")]) == 1


def test_a_server_without_ranges_sends_the_whole_again(device: Device, server: Server) -> None:
    server.behaviour.ranges = False
    server.behaviour.cut = [20]
    assert device.pull(server.address).changed


@pytest.fixture
def part(device: Device, server: Server, parts: Callable[[], list[Path]]) -> Path:
    """What a first pull, which broke off, left of a model."""
    device.fetcher = server.fetcher(device.state)
    device.fetcher.attempts = 1
    server.behaviour.cut = [10**6] * 3 + [50]
    with pytest.raises(UsageError):
        device.pull()
    (left,) = parts()
    return left


def test_bad_bytes_of_an_earlier_attempt_do_not_stay(
    device: Device, part: Path, parts: Callable[[], list[Path]]
) -> None:
    part.write_bytes(b"x" * 50)
    (part.parent / "old.part").write_text("of a file that is offered no more")
    assert device.pull().changed
    assert parts() == []


@pytest.mark.parametrize("size", [10**5, 0])
def test_a_part_that_is_too_long_or_empty_is_begun_anew(
    device: Device, server: Server, parts: Callable[[], list[Path]], size: int
) -> None:
    device.fetcher = server.fetcher(device.state)
    device.fetcher.attempts = 1
    server.behaviour.cut = [10]
    with pytest.raises(UsageError):
        device.pull()
    (part,) = parts()
    part.write_bytes(b"y" * size)
    assert device.pull().changed


def test_a_part_that_is_a_link_is_not_written_through(
    device: Device, server: Server, parts: Callable[[], list[Path]], tmp_path: Path
) -> None:
    device.fetcher = server.fetcher(device.state)
    device.fetcher.attempts = 1
    server.behaviour.cut = [10]
    with pytest.raises(UsageError):
        device.pull()
    (part,) = parts()
    part.unlink()
    precious = tmp_path / "precious"
    precious.write_text("mine")
    part.symlink_to(precious)
    with pytest.raises(UsageError):
        device.pull()
    assert precious.read_text() == "mine"


# --- servers that lie --------------------------------------------------------------------------------------------


def for_path(part: str, act: Callable[[BaseHTTPRequestHandler], None]) -> Callable[[Any], bool]:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if part not in handler.path:
            return False
        act(handler)
        return True

    return answer


def says(status: int, headers: dict[str, str], body: bytes = b"") -> Callable[[BaseHTTPRequestHandler], None]:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return act


@pytest.mark.parametrize(
    ("part", "status", "headers", "said"),
    [
        ("timestamp", 404, {"Content-Length": "0"}, "answers 404"),
        ("timestamp", 500, {"Content-Length": "0"}, "answers 500"),
        ("timestamp", 301, {"Content-Length": "0", "Location": "http://elsewhere/"}, "answers 301"),
        ("root", 500, {"Content-Length": "0"}, "answers 500"),
        ("model.onnx", 404, {"Content-Length": "0"}, "answers 404"),
        ("model.onnx", 206, {"Content-Length": "1", "Content-Range": "bytes 5-5/9"}, "only a part"),
        ("timestamp", 200, {}, "does not say how long"),
        ("timestamp", 200, {"Content-Length": "-1"}, "does not say how long"),
        ("timestamp", 200, {"Content-Length": "9" * 40}, "does not say how long"),
        ("timestamp", 200, {"Transfer-Encoding": "chunked"}, "does not say how long"),
        ("timestamp", 200, {"Content-Length": "50"}, "the connection broke after 0 bytes"),
        ("timestamp", 200, {f"X-{i}": "x" for i in range(300)}, "the connection broke"),
        ("timestamp", 200, {"X": "x" * 70000}, "the connection broke"),
    ],
)
def test_an_answer_that_cannot_be_used(
    device: Device, server: Server, part: str, status: int, headers: dict[str, str], said: str
) -> None:
    server.behaviour.answer = for_path(part, says(status, headers))
    with pytest.raises(UsageError, match=said) as caught:
        device.pull(server.address)
    assert "run it again" in str(caught.value)
    assert device.installed() == {}


@pytest.mark.parametrize(
    "part", ["timestamp", "2.root", "snapshot", "targets.json", "models.json", "model.onnx", "gate"]
)
def test_an_endless_answer_is_not_read(device: Device, server: Server, refused: Refused, part: str) -> None:
    server.behaviour.answer = for_path(part, says(200, {"Content-Length": str(10**15)}, b"x" * 1000))
    refused(lambda: device.pull(server.address), "too-large", "repository")
    assert device.installed() == {}


@pytest.mark.parametrize("part", ["timestamp", "snapshot"])
def test_noise_is_refused(device: Device, server: Server, refused: Refused, part: str) -> None:
    server.behaviour.answer = for_path(part, says(200, {"Content-Length": "300"}, b"\x00" * 300))
    reason = "metadata-invalid" if part == "timestamp" else "digest-mismatch"
    refused(lambda: device.pull(server.address), reason, "repository")


def drip(head: bytes, data: bytes, pause: float) -> Callable[[BaseHTTPRequestHandler], None]:
    def act(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(head)
            for i in range(len(data)):
                handler.wfile.write(data[i : i + 1])
                time.sleep(pause)
        except OSError:
            pass  # the device hung up

    return act


@pytest.mark.parametrize(
    ("head", "data", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"x" * 2000, "less than 1000000 bytes a second"),
        (b"", b"HTTP/1.1 200 OK\r\nX-Header: " + b"y" * 2000, "no answer for"),
    ],
    ids=["the body", "the head"],
)
def test_a_server_that_dawdles_is_given_up(
    device: Device, server: Server, head: bytes, data: bytes, said: str
) -> None:
    server.behaviour.answer = for_path("timestamp", drip(head, data, 0.01))
    device.fetcher = server.fetcher(device.state, patience=0.3, slowest=1e6)
    with pytest.raises(UsageError, match=said):
        device.pull()


def waits(event: threading.Event) -> None:
    event.wait(5)


def test_a_server_that_says_nothing_is_given_up(device: Device, server: Server) -> None:
    gone = threading.Event()
    server.behaviour.answer = for_path("timestamp", lambda _: waits(gone))
    device.fetcher = server.fetcher(device.state, patience=0.2)
    with pytest.raises(UsageError, match="no answer for"):
        device.pull()
    gone.set()


def test_a_server_that_is_not_there(device: Device) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=r"connection refused"):
            device.pull(address)


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.org/x",
        "http://",
        "https:///x",
        "http://example.org/?a=b",
        "http://me:mine@example.org/",
    ],
)
def test_what_is_no_address(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="is not the address of a repository"):
        open_source(address, tmp_path)


def test_a_port_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not the address of a repository"):
        HttpFetcher("http://example.org:99999/x", tmp_path)


def test_a_name_with_blanks_and_signs_arrives(device: Device, publisher: Publisher, server: Server) -> None:
    name = "odd name #1 50%?é.txt"
    folder = publisher.bundle("signs")
    (folder / name).write_text("odd")
    (folder / "model.sig").unlink()
    from edgeguard.admission import sign_bundle

    sign_bundle(folder, publisher.folder / "keys/release.key")
    publisher.add("models/signs")
    publisher.release()
    assert f"models/signs/{name}" in device.pull(server.address).names


def test_a_file_that_had_arrived_whole_is_not_asked_for_again(
    device: Device, publisher: Publisher, server: Server, part: Path
) -> None:
    part.write_bytes(publisher.target(MODEL).read_bytes())
    server.behaviour.asked.clear()
    assert device.pull().changed
    assert not [path for path, _ in server.behaviour.asked if path.endswith("model.onnx")]


def test_a_server_that_goes_on_from_the_wrong_byte_is_asked_for_the_whole(
    device: Device, server: Server
) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.headers.get("Range"):
            return False
        says(206, {"Content-Length": "3", "Content-Range": "bytes 0-2/9"}, b"xxx")(handler)
        return True

    server.behaviour.cut = [20]
    server.behaviour.answer = answer
    assert device.pull(server.address).changed
