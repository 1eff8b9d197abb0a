"""Does this process log? A line of every level is written, and looked for among what was written."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from infrastructure.telemetry import recent

LEVELS = ("debug", "info", "warning", "error")
_log = structlog.get_logger()


@dataclass(frozen=True)
class Written:
    """The lines that were found: their levels, and whether each names the request that caused it."""

    levels: Sequence[str]
    with_request_id: bool

    def complete(self, level: str) -> bool:
        """Whether every level is there that this setting of LOG_LEVEL lets through."""
        first = LEVELS.index(level.lower()) if level.lower() in LEVELS else len(LEVELS) - 1
        return set(LEVELS[first:]) <= set(self.levels)


def write() -> str:
    """Log a line of every level; their marker."""
    marker = uuid.uuid4().hex
    for level in LEVELS:
        getattr(_log, level)("logging_test", marker=marker)
    return marker


def find(marker: str) -> Written | None:
    """What became of them; None where this process remembers none."""
    lines = recent.marked(marker)
    if not lines:
        return None
    return Written([str(line.get("level")) for line in lines], all("request_id" in line for line in lines))
