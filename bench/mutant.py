"""One changed function, constant or default of a module of admission, and how a running process takes it in.

For tests of tests (`bench.mutate_admission`).
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from bench.mutants import changes, constants, wording

HOUSE = Path(__file__).parents[1] / "edgeguard/admission"


@dataclass
class Mutant:
    """`where`: the function, constant or field. `kind`: `code`, `constant`, `field` (of a dataclass) or `default`."""

    module: str
    where: str
    what: str
    line: int
    kind: str
    payload: Any
    name: str = ""

    def apply(self) -> None:
        """Make the change in this process, everywhere that has the old one."""
        module = importlib.import_module(f"edgeguard.admission.{self.module}")
        if self.kind == "constant":
            self._everywhere(module)
            return
        *outer, last = self.where.split(".")
        target: Any = module
        for name in outer:
            target = getattr(target, name)
        if self.kind == "field":
            _set_field(target, last, eval(self.payload, vars(module)))  # noqa: S307 - the package's own source
            return
        function = vars(target)[last]
        function = getattr(function, "__func__", None) or getattr(function, "fget", None) or function
        if self.kind == "code":
            function.__code__ = _find(self.payload, self.where.split("."))
            return
        place, word, value = self.payload
        if word:
            function.__kwdefaults__ = {**function.__kwdefaults__, word: value}
        else:
            new = list(function.__defaults__)
            new[place] = value
            function.__defaults__ = tuple(new)

    def _everywhere(self, module: Any) -> None:  # noqa: ANN401 - a module
        value = eval(self.payload, vars(module))  # noqa: S307 - the package's own source
        old = vars(module)[self.where]
        for name, other in list(sys.modules.items()):
            if name.startswith("edgeguard.") and vars(other).get(self.where, other) is old:
                setattr(other, self.where, value)


def mutants_of(module: str) -> tuple[list[Mutant], int]:
    """All of one module, and how many changes of words were left out."""
    path = HOUSE / f"{module}.py"
    tree = ast.parse(path.read_text())
    words = wording(tree)
    made: list[Mutant] = []
    left_out = 0
    seen = {ast.dump(tree)}
    for where, node in list(_parts(tree.body, ())):
        if isinstance(node, ast.FunctionDef):
            found = [
                change for i, below in enumerate(node.body) for change in changes(node.body, i, below, words)
            ]
        else:
            found = list(changes(node, "value", node.value, words)) if node.value else []
        for change in found:
            back = change.swap()
            ast.fix_missing_locations(tree)
            dump = ast.dump(tree)
            line = getattr(change.holder, "lineno", 0) or getattr(back.new, "lineno", 0) or node.lineno
            if dump not in seen:
                seen.add(dump)
                if change.words and change.what != "shown taken off":
                    left_out += 1
                else:
                    made.append(Mutant(module, where, change.what, line, *_payload(where, node, tree, path)))
            back.swap()
        if isinstance(node, ast.FunctionDef):
            made += _defaults(module, where, node)
    for i, mutant in enumerate(made):
        mutant.name = f"{module}:{mutant.where}:{i}"
    return made, left_out


def _parts(body: list[ast.stmt], outer: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Functions, constants and fields, by their qualified names."""
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield ".".join((*outer, node.name)), node
        elif isinstance(node, ast.ClassDef):
            yield from _parts(node.body, (*outer, node.name))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            name = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(name, ast.Name) and name.id not in ("Reason", "Secrets", "__slots__"):
                yield ".".join((*outer, name.id)), node


def _payload(where: str, node: Any, tree: ast.Module, path: Path) -> tuple[str, Any]:  # noqa: ANN401 - see `_parts`
    if isinstance(node, ast.FunctionDef):
        return "code", compile(tree, str(path), "exec")
    return "field" if "." in where else "constant", ast.unparse(node.value)


def _defaults(module: str, where: str, node: ast.FunctionDef) -> Iterator[Mutant]:
    count = len(node.args.defaults)
    places: list[tuple[int, str, ast.expr]] = [(i - count, "", d) for i, d in enumerate(node.args.defaults)]
    places += [(0, a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults) if d is not None]
    for place, word, default in places:
        for value in constants(getattr(default, "value", None)):
            what = f"default {word or place} to {value!r}"
            yield Mutant(module, where, what, node.lineno, "default", (place, word, value))


def _set_field(kind: Any, name: str, value: object) -> None:  # noqa: ANN401 - a dataclass
    names = list(kind.__dataclass_fields__)
    new = list(kind.__init__.__defaults__)
    new[names.index(name) - len(names)] = value
    kind.__init__.__defaults__ = tuple(new)


def _find(code: CodeType, path: list[str]) -> CodeType:
    for name in path:
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
    return code
