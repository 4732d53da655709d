from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from edgeguard.errors import LinkError
from edgeguard.link import load_device_key, new_device_key, provision
from edgeguard.link.keys import TEST_KEY, TEST_OPERATOR_KEY, fingerprint

TEST_FILE = Path(__file__).parents[2] / "firmware_stubs" / "keys" / "test.device-key"


def test_committed_key_is_the_public_test_key() -> None:
    assert load_device_key(TEST_FILE) == TEST_KEY
    assert "TEST" in TEST_FILE.read_text(encoding="ascii")


def test_committed_operator_key_is_the_other_public_test_key() -> None:
    path = TEST_FILE.with_name("test.operator-key")
    assert load_device_key(path) == TEST_OPERATOR_KEY
    assert "TEST" in path.read_text(encoding="ascii")


def test_new_key_is_private_and_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.device-key"
    key = new_device_key(path)
    assert len(key) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_device_key(path) == key


def test_new_key_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.device-key"
    path.write_text("precious")
    with pytest.raises(LinkError, match=r"cannot write device key .*file exists"):
        new_device_key(path)
    assert path.read_text() == "precious"


def test_new_microcontroller_gets_two_keys_and_the_page_that_holds_both(tmp_path: Path) -> None:
    made = provision(tmp_path / "arm-7")
    device, operator, page = (
        load_device_key(made.device),
        load_device_key(made.operator),
        made.page.read_bytes(),
    )
    assert page[:64] == device + operator
    assert (len(page), len({device, operator, page[64:] * 2})) == (80, 3)
    assert [path.stat().st_mode & 0o777 for path in made[:3]] == [0o600] * 3
    assert [path.name for path in made[:3]] == [
        "arm-7.device-key",
        "arm-7.operator-key",
        "arm-7.provision.bin",
    ]
    assert (made.device_print, made.operator_print) == (fingerprint(device), fingerprint(operator))


@pytest.mark.parametrize("kind", ["device-key", "operator-key", "provision.bin"])
def test_provisioning_overwrites_nothing_and_leaves_nothing_half_done(tmp_path: Path, kind: str) -> None:
    there = tmp_path / f"arm-7.{kind}"
    there.write_text("precious")
    with pytest.raises(LinkError, match=r"cannot write file .*file exists"):
        provision(tmp_path / "arm-7")
    assert (there.read_text(), list(tmp_path.iterdir())) == ("precious", [there])


def test_full_disk_leaves_no_half_of_a_secret(tmp_path: Path) -> None:
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))
        with pytest.raises(LinkError, match="cannot write"):
            provision(tmp_path / "device-7")
        assert list(tmp_path.iterdir()) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("name", ["", ".", "arms"])
def test_provisioning_a_folder_asks_for_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "arms").mkdir()
    with pytest.raises(
        LinkError, match=r"is a folder: name the microcontroller, too, like `(arms/)?device-7`"
    ):
        provision(name)
    assert [path.name for path in tmp_path.iterdir()] == ["arms"]


def test_fingerprint_tells_keys_apart_and_no_key() -> None:
    assert fingerprint(TEST_KEY) == "21f0ba8446b3986a"
    assert fingerprint(TEST_KEY) not in TEST_KEY.hex()


def test_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.device-key"
    new_device_key(path)
    path.chmod(0o640)
    with pytest.raises(LinkError, match=r"may be read by others.*chmod 600"):
        load_device_key(path)


def test_missing_key_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"cannot read device key .*no such file .*check the path"):
        load_device_key(tmp_path / "absent")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "edgeguard-device-key-1\n",
        "edgeguard-device-key-1\nzz\n",
        "edgeguard-device-key-1\n00ff\n",
        "edgeguard-device-key-2\n" + "00" * 32,
        "edgeguard-device-key-1\n" + "00" * 32 + "\nmore",
        "\xff\xfe",
    ],
)
def test_anything_else_is_no_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.device-key"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(LinkError, match=r"is not a device key"):
        load_device_key(path)


@pytest.mark.parametrize("name", ["a\0b", "half \ud800"])
def test_path_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(LinkError, match=r"cannot read device key .*no file can have this name"):
        load_device_key(tmp_path / name)
    with pytest.raises(LinkError, match=r"cannot write device key .*no file can have this name"):
        new_device_key(tmp_path / name)
