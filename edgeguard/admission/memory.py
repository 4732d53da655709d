"""Memory for what is verified: a `bytes` that is filled in place before anybody sees it.

The only place where a `bytes` is ever written to; whoever asks for one may hand it on only when it is complete.
"""

from __future__ import annotations

import ctypes

# Inference engines take `bytes` and nothing else, and a `bytes` can otherwise be had only whole, before its hashing
# starts, or as a copy, at twice the memory. CPython's documented way to make one in steps is used: the data of a
# `bytes` may be written when it "was just created using PyBytes_FromStringAndSize(NULL, size)", as long as nobody
# else has seen it. It holds here: the callers keep the object to themselves until its last byte is written, and
# the empty object, which is shared, is never asked for.
_new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
_new_bytes.restype = ctypes.py_object
_new_bytes.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t)
_address_of = ctypes.pythonapi.PyBytes_AsString
_address_of.restype = ctypes.c_void_p
_address_of.argtypes = (ctypes.py_object,)


def blank_bytes(size: int) -> tuple[bytes, memoryview]:
    """Make a `bytes` of `size` >= 1 that nobody has seen yet, and its memory to write to, which keeps it alive.

    Raises:
        MemoryError: there is no room for it.
    """
    data: bytes = _new_bytes(None, size)
    memory = (ctypes.c_char * size).from_address(_address_of(data))
    memory.owner = data  # type: ignore[attr-defined]  # a reference, for a thread that still reads after an error
    return data, memoryview(memory).cast("B")
