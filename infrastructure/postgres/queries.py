"""Where is the text of a query? In `sql/<topic>.sql`, under its name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import LiteralString

_SQL = Path(__file__).parent / "sql"
_BLOCK = re.compile(r"^-- name: (?P<name>\w+)\s*$", re.MULTILINE)


@cache
def _blocks(topic: str) -> dict[str, str]:
    parts = _BLOCK.split((_SQL / f"{topic}.sql").read_text(encoding="utf-8"))
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"sql/{topic}.sql names a block twice")
    return {name: body.strip() for name, body in zip(names, bodies, strict=True)}


class Queries:
    """The named blocks of one SQL file. A block starts with `-- name: it` and a comment line of purpose."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def __getitem__(self, name: str) -> LiteralString:
        return _blocks(self._topic)[name]  # part of the program, so as literal as a constant

    def names(self) -> frozenset[str]:
        """Every block of the file."""
        return frozenset(_blocks(self._topic))
