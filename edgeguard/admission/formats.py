"""File formats that no bundle may hold, told by their content and by their names: what runs code when it is loaded.

Pickles, as they are or inside a zip archive, and machine code. Nothing is loaded here; of an archive's members only
the beginnings are read.
"""

from __future__ import annotations

import pickletools
import re
import struct
import zlib

from edgeguard.admission.reasons import refusal

ORT_FORMAT = b"ORTM"
"""At byte 4: onnxruntime's own flatbuffer format, which the engine would recognise before it tries ONNX."""
ZIP = b"PK\x03\x04"

_PICKLE_NAMES = (".pkl", ".pickle", ".pck", ".pt", ".pth", ".ckpt", ".joblib", ".dill", ".mar")
_CODE_NAME = re.compile(r"\.(so(\.[0-9]+)*|dll|dylib|pyd|pyc|exe)$")
_CODE = (b"\x7fELF", *map(bytes.fromhex, ("feedface", "feedfacf", "cefaedfe", "cffaedfe", "cafebabe")))
_PROTOCOLS = (2, 3, 4, 5)
_NAMING = ("GLOBAL", "INST")
"""What names something to call. No pickle runs code without one of these, or `STACK_GLOBAL` after a name."""
_NAME = re.compile(r"[\w.]+")
_QUALIFIED = re.compile(r"[\w.]+ [\w.]+")
_MOST_OPCODES = 10_000
_NUMPY = b"\x93NUMPY"
_OBJECTS = re.compile(rb"'descr':[^}]*O")
_END, _END_WITHIN = b"PK\x05\x06", 22 + 65_535
"""Where an archive ends there is this mark, and after it at most a comment."""
_MEMBER = struct.Struct("<8xH16xHH")
"""Method, length of the name and of what follows it, at the head of each member."""
_DEFLATED = 8
_BEGINNING = 64 * 1024
_MOST_MEMBERS = 10_000
_EXPORT = "export the model as ONNX, keep other files as text or plain arrays, and sign the bundle"
_STANDARD = "remove it, and export the model with standard operators"


def check_file(name: str, data: bytes, path: str) -> None:
    """Refuse one file. `path` is only for messages.

    Raises:
        AdmissionError: `pickle`, or `custom-operator` for machine code.
    """
    lowered = name.lower()
    if _suffix(lowered) in _PICKLE_NAMES:
        raise refusal("pickle", path, f"files of this kind run code when they are loaded: {_EXPORT}")
    if _CODE_NAME.search(lowered) or _is_code(data):
        raise refusal(
            "custom-operator", path, f"this is machine code, such as a library of operators: {_STANDARD}"
        )
    if is_pickle(data) or _is_object_array(data) or _holds_pickle(data):
        raise refusal("pickle", path, f"it holds a pickle, which runs code when it is loaded: {_EXPORT}")


def _is_code(data: bytes) -> bool:
    if data.startswith(b"MZ"):  # two letters are too few to tell by: the real header is where they point
        at = int.from_bytes(data[60:64], "little")
        return data[at : at + 4] == b"PE\0\0"
    return data.startswith(_CODE)


def is_pickle(data: bytes) -> bool:
    """Whether `pickle.load` would make something of the beginning: protocols 0 to 5, whatever follows."""
    declared = data[:1] == b"\x80" and data[1:2] != b"" and data[1] in _PROTOCOLS
    count, place, named = 0, 0, False
    try:
        for opcode, argument, at in pickletools.genops(data):
            count, place = count + 1, at or 0
            named = named or (isinstance(argument, str) and _NAME.fullmatch(argument) is not None)
            if count > _MOST_OPCODES or (declared and count > 1):
                return True
            if opcode.name in _NAMING and _QUALIFIED.fullmatch(str(argument)):
                return True
            if opcode.name == "STACK_GLOBAL" and named:
                return True
        return count > 1 and place == len(data) - 1  # values alone: no noise ends just where such a list ends
    except Exception:  # noqa: BLE001 - what a broken pickle raises is not documented; nobody can load the rest of it
        return False


def _is_object_array(data: bytes) -> bool:
    """A NumPy array of objects: its values are a pickle."""
    return data.startswith(_NUMPY) and _OBJECTS.search(data[:_BEGINNING].partition(b"\n")[0]) is not None


def _holds_pickle(data: bytes) -> bool:
    """A zip archive (as PyTorch and NumPy write them), behind whatever it hides, with a pickle in it."""
    if data.rfind(_END, max(0, len(data) - _END_WITHIN)) < 0:
        return False
    at, count = data.find(ZIP), 0
    while at >= 0:
        count += 1
        if count > _MOST_MEMBERS or _is_bad_member(data, at):
            return True
        at = data.find(ZIP, at + 4)
    return False


def _is_bad_member(data: bytes, at: int) -> bool:
    header = data[at : at + _MEMBER.size]
    if len(header) < _MEMBER.size:
        return False
    method, name_size, extra_size = _MEMBER.unpack(header)
    begin = at + _MEMBER.size + name_size + extra_size
    if (
        _suffix(data[at + _MEMBER.size : at + _MEMBER.size + name_size].decode("latin-1").lower())
        in _PICKLE_NAMES
    ):
        return True
    beginning = data[begin : begin + _BEGINNING]
    if method == _DEFLATED:
        try:
            beginning = zlib.decompressobj(-zlib.MAX_WBITS).decompress(beginning, _BEGINNING)
        except zlib.error:
            return False  # nobody can unpack it
    return is_pickle(beginning) or _is_object_array(beginning)


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return dot + suffix if stem else ""
