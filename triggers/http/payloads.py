"""Which JSON bodies does nothing behind this read? Too deep ones, and what PostgreSQL cannot hold."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeAlias

from core.errors import InvalidRequest

Node: TypeAlias = "bool | int | float | str | Sequence[Node] | Mapping[str, Node] | None"


def refuse_unusable(body: bytes, deepest: int) -> None:
    """InvalidRequest for a body that nests deeper, or holds NUL, half a surrogate pair, NaN or infinity.

    A body that is no JSON is left to those who can say where it is wrong.
    """
    try:
        tree: Node = json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise _too_deep(deepest) from None
    except ValueError:
        return
    escaped = b"\\u" in body  # neither NUL nor a surrogate can stand in JSON otherwise
    level: list[Node] = [tree]
    for _ in range(deepest + 1):
        level = [child for node in level for child in _children(node, escaped=escaped)]
        if not level:
            return
    raise _too_deep(deepest)


def _children(node: Node, *, escaped: bool) -> Iterable[Node]:
    match node:
        case str():
            if escaped:
                _check_text(node)
        case float():
            if not math.isfinite(node):
                _no_number("an infinite number")
        case Mapping():
            if escaped:
                _check_text("".join(node))
            return node.values()
        case Sequence():
            return node
    return ()


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidRequest("The body holds the character NUL, which no text may have.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("The body holds half of a surrogate pair, which is no character.") from None


def _no_number(text: str) -> NoReturn:
    raise InvalidRequest(f"The body holds {text}, which is no JSON number.")


def _too_deep(deepest: int) -> InvalidRequest:
    return InvalidRequest(f"The body is nested deeper than {deepest} levels.")
