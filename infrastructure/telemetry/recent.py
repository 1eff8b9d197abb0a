"""The last lines a process logged, as they were written, for whoever asks whether it logs at all."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Mapping

_KEPT = 500
_lines: deque[str] = deque(maxlen=_KEPT)
_lock = threading.Lock()


def keep(line: str) -> None:
    """Remember a line."""
    with _lock:
        _lines.append(line)


def marked(marker: str) -> list[Mapping[str, object]]:
    """The lines with this `marker`, read back from the JSON that was written."""
    with _lock:
        lines = list(_lines)
    found = [json.loads(line) for line in lines if marker in line]
    return [line for line in found if line.get("marker") == marker]
