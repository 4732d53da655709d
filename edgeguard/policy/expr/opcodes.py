"""The last gate before compiled code may run: every instruction of it must be on a short list.

The list holds loads of locals and constants, float arithmetic, comparisons, jumps and tuples. It holds no call, no
attribute, no global, no import and no nested code, so whatever the generator did, the result can only compute.
"""

from __future__ import annotations

import dis
from types import CodeType

ALLOWED = frozenset({
    # loads and stores of locals and constants, over Python 3.10 to 3.14
    "LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
    "LOAD_FAST_AND_CLEAR", "STORE_FAST", "STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST", "LOAD_CONST",
    "LOAD_SMALL_INT", "UNPACK_SEQUENCE",
    # arithmetic and comparison
    "BINARY_OP", "BINARY_ADD", "BINARY_SUBTRACT", "BINARY_MULTIPLY", "BINARY_TRUE_DIVIDE", "UNARY_NEGATIVE",
    "UNARY_NOT", "COMPARE_OP", "CONTAINS_OP", "TO_BOOL",
    # jumps
    "JUMP_FORWARD", "POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE", "JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP",
    "POP_JUMP_FORWARD_IF_TRUE", "POP_JUMP_FORWARD_IF_FALSE", "POP_JUMP_BACKWARD_IF_TRUE",
    "POP_JUMP_BACKWARD_IF_FALSE", "NOT_TAKEN",
    # the stack
    "POP_TOP", "DUP_TOP", "ROT_TWO", "ROT_THREE", "COPY", "SWAP", "NOP", "CACHE", "EXTENDED_ARG", "RESUME",
    # the result
    "BUILD_TUPLE", "RETURN_VALUE", "RETURN_CONST",
})  # fmt: skip


def forbidden(code: CodeType) -> tuple[str, ...]:
    """What in `code` is not on the list: instructions, nested code, global names, closures. Empty: it may run."""
    # every second byte is an instruction; inline caches count as `CACHE`, arguments stand on the odd bytes
    found = [
        name for name in (dis.opname[op] for op in sorted(set(code.co_code[::2]))) if name not in ALLOWED
    ]
    found.extend(f"nested code `{c.co_name}`" for c in code.co_consts if isinstance(c, CodeType))
    found.extend(f"name `{name}`" for name in (*code.co_names, *code.co_freevars, *code.co_cellvars))
    return tuple(dict.fromkeys(found))
