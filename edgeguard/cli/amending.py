"""Adding an entry to a list under a policy's `admission`: the text around it stays as it is, comments and all.

What comes out is checked to mean the old policy and that entry, and nothing else, before it takes the file's place.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from edgeguard.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from edgeguard.policy.document import PolicyDocument

List = Literal["signers", "revoked"]


def amend(path: Path, name: List, entry: str) -> None:
    """Add `entry` (one line of YAML) to `admission.NAME` of the policy file. It has to be signed again after that.

    Raises:
        PolicyError: the policy is not valid.
        UsageError: the file cannot be read or written, or its text is laid out in a way that is not understood.
    """
    from edgeguard.admission.keyfiles import replace
    from edgeguard.policy.document import parse
    from edgeguard.policy.load import check_policy

    before = check_policy(path)
    by_hand = UsageError(f"`{path}` cannot be changed safely: add `{entry}` to `admission.{name}` by hand")
    text = added(before.source.text, name, entry)
    try:
        after = parse(text.encode(), file=str(path))
    except PolicyError:
        raise by_hand from None
    if not _only_added(before, after, name):
        raise by_hand
    place = path.resolve()
    replace(place, text.encode(), mode=stat.S_IMODE(place.stat().st_mode))


def added(text: str, name: str, entry: str) -> str:
    """The text of a policy with one more entry at the end of `admission.NAME`; as it was, where it has no such place.

    The text must be YAML with one mapping.
    """
    admission = _child(yaml.compose(text, Loader=yaml.SafeLoader), "admission")
    if not isinstance(admission, yaml.MappingNode):
        return text
    entries = _child(admission, name)
    if entries is None:
        return _with_list(text, admission, name, entry)
    if not isinstance(entries, yaml.SequenceNode):
        return text
    if entries.flow_style:
        return _into_flow(text, entries, entry)
    return _below(text, entries, f"- {entry}")


def _with_list(text: str, admission: yaml.MappingNode, name: str, entry: str) -> str:
    if admission.flow_style:
        return _into_flow(text, admission, f"{name}: [{entry}]")
    return _below(text, admission, f"{name}:", f"  - {entry}")


def _into_flow(text: str, node: yaml.CollectionNode, what: str) -> str:
    """Put `what` behind the last thing between brackets."""
    at = _end(node.value[-1]) if node.value else node.start_mark.index + 1
    return f"{text[:at]}{', ' if node.value else ''}{what}{text[at:]}"


def _below(text: str, node: yaml.CollectionNode, *lines: str) -> str:
    """Put lines below the last line of a block, and whatever comment stands on that."""
    at = text.find("\n", _end(node.value[-1]))
    at = len(text) if at < 0 else at
    indent = " " * node.start_mark.column
    return text[:at] + "".join(f"\n{indent}{line}" for line in lines) + text[at:]


def _end(found: yaml.Node | tuple[yaml.Node, yaml.Node]) -> int:
    """One past the last character of a node, or of a key's value: a block's own end mark lies behind its comments."""
    node = found[1] if isinstance(found, tuple) else found
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return value  # type: ignore[no-any-return] # types-PyYAML leaves the pairs open
    return None


def _only_added(before: PolicyDocument, after: PolicyDocument, name: str) -> bool:
    """Whether `after` is `before` with one more entry at the end of the list."""
    old, new = before.policy.model_dump(), after.policy.model_dump()
    entries = new["admission"].pop(name)
    return bool(entries[:-1] == old["admission"].pop(name) and len(entries) and new == old)
