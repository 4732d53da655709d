"""Adding an entry under a policy's `admission`, or taking a signer out: the text around stays, comments and all.

What comes out is checked to mean the old policy with that change and no other, before it takes the file's place.
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


def amend(path: Path, name: List, entry: str, *, without: int | None = None) -> None:
    """Add `entry` (one line of YAML) to `admission.NAME` of the policy file. It has to be signed again after that.

    `without`: the place (from 0) of a signer that is taken out of `admission.signers` in the same step.

    Raises:
        PolicyError: the policy is not valid.
        UsageError: it would not be valid then, it cannot be read or written, or its layout is not understood.
    """
    from edgeguard.admission.keyfiles import replace
    from edgeguard.policy.document import parse
    from edgeguard.policy.load import check_policy

    before = check_policy(path)
    text = added(before.source.text, name, entry)
    if without is not None:
        text = removed(text, without)
    try:
        after = parse(text.encode(), file=str(path))
    except PolicyError as error:
        first = error.diagnostics[0]
        raise UsageError(
            f"`{path}` would not be valid with `{entry}` in `admission.{name}`: {first.message} ({first.hint})"
        ) from None
    if not _only_changed(before, after, name, without):
        raise UsageError(f"`{path}` cannot be changed safely: add `{entry}` to `admission.{name}` by hand")
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


def removed(text: str, index: int) -> str:
    """The text of a policy without one of several `admission.signers`, and without the comment on its last line."""
    entries = _child(_child(yaml.compose(text, Loader=yaml.SafeLoader), "admission"), "signers")
    if not isinstance(entries, yaml.SequenceNode) or not index < len(entries.value) > 1:
        return text
    nodes = entries.value
    if not entries.flow_style:
        first = text.rfind("\n", 0, nodes[index].start_mark.index) + 1
        last = text.find("\n", _end(text, nodes[index]))
        return text[:first] + (text[last + 1 :] if last >= 0 else "")
    if index:
        return text[: _end(text, nodes[index - 1])] + text[_end(text, nodes[index]) :]
    return text[: nodes[0].start_mark.index] + text[nodes[1].start_mark.index :]


def _with_list(text: str, admission: yaml.MappingNode, name: str, entry: str) -> str:
    if admission.flow_style:
        return _into_flow(text, admission, f"{name}: [{entry}]")
    return _below(text, admission, f"{name}:", f"  - {entry}")


def _into_flow(text: str, node: yaml.CollectionNode, what: str) -> str:
    """Put `what` behind the last thing between brackets."""
    at = _end(text, node.value[-1]) if node.value else node.start_mark.index + 1
    return f"{text[:at]}{', ' if node.value else ''}{what}{text[at:]}"


def _below(text: str, node: yaml.CollectionNode, *lines: str) -> str:
    """Put lines below the last line of a block, and whatever comment stands on that."""
    at = text.find("\n", _end(text, node.value[-1]))
    at = len(text) if at < 0 else at
    indent = " " * node.start_mark.column
    return text[:at] + "".join(f"\n{indent}{line}" for line in lines) + text[at:]


def _end(text: str, found: yaml.Node | tuple[yaml.Node, yaml.Node]) -> int:
    """One past the last character of a node, or of a key's value: a block's own end mark lies behind its comments."""
    node = found[1] if isinstance(found, tuple) else found
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        return _end(text, node.value[-1])
    return len(text[: node.end_mark.index].rstrip())  # that of folded text lies on the next line


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return value  # type: ignore[no-any-return] # types-PyYAML leaves the pairs open
    return None


def _only_changed(before: PolicyDocument, after: PolicyDocument, name: List, without: int | None) -> bool:
    """Whether `after` is `before` with one more entry at the end of the list, and without that signer."""
    old, new = before.policy.model_dump(), after.policy.model_dump()
    if without is not None:
        signers = old["admission"]["signers"]
        old["admission"]["signers"] = (*signers[:without], *signers[without + 1 :])
    entries = new["admission"].pop(name)
    return bool(len(entries) and entries[:-1] == old["admission"].pop(name) and new == old)
