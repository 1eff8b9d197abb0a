"""Where does the next page start? A cursor says it, opaque to callers and good for one kind of list only."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated

from fastapi import Query
from pydantic import StringConstraints

from core.errors import InvalidRequest

#: What PostgreSQL can hold: text without NUL.
PLAIN = r"^[^\x00]*$"
Word = Annotated[str, StringConstraints(max_length=200, pattern=PLAIN)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000, pattern=PLAIN)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
Cursor = Annotated[str | None, Query(alias="cursor", max_length=200, description="`next_cursor` of the page before.")]


def cursor(kind: str, *position: int) -> str:
    """The text of a position in a list."""
    return base64.urlsafe_b64encode(json.dumps([kind, *position]).encode()).decode().rstrip("=")


def position(kind: str, text: str | None, length: int) -> tuple[int, ...] | None:
    """The position behind a cursor of that kind; None without one. Raises InvalidRequest for any other text."""
    if text is None:
        return None
    try:
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError):
        found = None
    numbers = found[1:] if isinstance(found, list) and found[:1] == [kind] else []
    if len(numbers) != length or not all(type(n) is int and abs(n) < 1 << 63 for n in numbers):
        raise InvalidRequest(
            "cursor is not one that this list gave out.", hint="Leave it out to start from the beginning."
        )
    return tuple(numbers)
