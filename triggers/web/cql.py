"""Which CQL2 filters a stranger may send to features.

The library turns an unknown operator into a call of the SQL function of that name, and its parser can be made to
overflow its stack or to backtrack for ever. So a filter is measured before it is parsed and read before it is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

import cql2
from fastapi import HTTPException

Node: TypeAlias = "bool | int | float | str | Sequence[Node] | Mapping[str, Node] | None"

_MAX_DEPTH = 16
_MAX_SKELETON = 600

_LITERAL = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|-?\d+(?:\.\d+)?|\s+")

_LOGIC = {"and", "or", "not", "=", "<>", "<", "<=", ">", ">=", "isnull", "between", "in", "like", "casei"}
_ARITHMETIC = {"+", "-", "*", "/", "%", "div", "^"}
_RELATIONS = {
    "s": {"intersects", "equals", "disjoint", "touches", "within", "overlaps", "crosses", "contains"},
    "t": {"after", "before", "contains", "disjoint", "during", "equals", "finishedby", "finishes", "intersects"}
    | {"meets", "metby", "overlappedby", "overlaps", "startedby", "starts"},
    "a": {"contains", "containedby", "equals", "overlaps"},
}
_OPERATORS = _LOGIC | _ARITHMETIC | {f"{kind}_{name}" for kind, names in _RELATIONS.items() for name in names}
_LITERALS = frozenset({"date", "timestamp", "interval", "bbox", "type", "coordinates", "geometries", "crs"})


def refuse_unparsable(text: str) -> None:
    """HTTPException 400 for a filter that would cost the parser more than it is worth."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        skeleton = _LITERAL.sub("", text)
        if len(skeleton) <= _MAX_SKELETON and _text_depth(skeleton) <= _MAX_DEPTH:
            return
    else:
        if _depth(tree) <= 4 * _MAX_DEPTH:
            return
    raise HTTPException(400, "The filter is too long or nested too deeply.")


def refuse_foreign(text: str, columns: Collection[str]) -> None:
    """HTTPException 400 for a filter that is no CQL2, or that names what the table does not have."""
    refuse_unparsable(text)
    try:
        tree = cql2.Expr(text).to_json()
    except Exception as e:  # the library raises nothing narrower
        raise HTTPException(400, f"The filter is not CQL2: {str(e).splitlines()[0]}") from e
    refuse_unknown(tree, columns)


def refuse_unknown(tree: Node, columns: Collection[str]) -> None:
    """HTTPException 400 for an operator or function that is not CQL2's, or a column the table does not have."""
    if isinstance(tree, str) or not isinstance(tree, (Sequence, Mapping)):
        return
    if isinstance(tree, Sequence):
        for part in tree:
            refuse_unknown(part, columns)
        return
    if "op" in tree:
        if str(tree["op"]).lower() not in _OPERATORS:
            raise HTTPException(400, f"The filter uses {tree['op']!r}, which is no operator or function here.")
        refuse_unknown(tree.get("args"), columns)
    elif "property" in tree:
        if tree["property"] not in columns:
            raise HTTPException(400, f"The filter names {tree['property']!r}, which is no column of this collection.")
    elif unknown := set(tree) - _LITERALS:
        raise HTTPException(400, f"The filter has a part that is no CQL2: {', '.join(sorted(unknown))}.")
    else:
        for part in tree.values():
            refuse_unknown(part, columns)


def _text_depth(skeleton: str) -> int:
    depth = deepest = 0
    for character in skeleton:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _depth(tree: Node) -> int:
    if isinstance(tree, Mapping):
        return 1 + max((_depth(part) for part in tree.values()), default=0)
    if isinstance(tree, Sequence) and not isinstance(tree, str):
        return 1 + max((_depth(part) for part in tree), default=0)
    return 0
