"""Where does the next page start? A cursor says it, opaque to callers and good for one kind of list only."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Query
from pydantic import StringConstraints

from core.errors import InvalidRequest

#: What PostgreSQL can hold: text without NUL.
PLAIN = r"^[^\x00]*$"
Word = Annotated[str, StringConstraints(max_length=200, pattern=PLAIN)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=PLAIN)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
TextCursor = Annotated[
    str | None, Query(alias="cursor", max_length=2000, description="`next_cursor` of the page before.")
]
Cursor = Annotated[str | None, Query(alias="cursor", max_length=200, description="`next_cursor` of the page before.")]


def cursor(kind: str, *position: int) -> str:
    """The text of a position in a list."""
    return text_cursor(kind, *position)


def position(kind: str, text: str | None, length: int) -> tuple[int, ...] | None:
    """The position behind a cursor of that kind; None without one. Raises InvalidRequest for any other text."""
    return cast("tuple[int, ...] | None", _position(kind, text, length, lambda n: type(n) is int and abs(n) < 1 << 63))


def text_cursor(kind: str, *position: object) -> str:
    """The text of a position in a list that is ordered by names."""
    return base64.urlsafe_b64encode(json.dumps([kind, *position]).encode()).decode().rstrip("=")


def text_position(kind: str, text: str | None, length: int) -> tuple[str, ...] | None:
    """The same, where names order the list."""
    return cast("tuple[str, ...] | None", _position(kind, text, length, lambda n: isinstance(n, str) and "\0" not in n))


def _position(kind: str, text: str | None, length: int, fits: Callable[[object], bool]) -> tuple[object, ...] | None:
    if text is None:
        return None
    try:
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    parts = found[1:] if isinstance(found, list) and found[:1] == [kind] else []
    if len(parts) != length or not all(fits(part) for part in parts):
        raise InvalidRequest(
            "cursor is not one that this list gave out.", hint="Leave it out to start from the beginning."
        )
    return tuple(parts)
