"""Which working directories did nobody remove? Those of attempts whose process was killed."""

from __future__ import annotations

import shutil
from pathlib import Path

#: Longer than any attempt may run: seconds.
ABANDONED_AFTER = 24 * 3600.0


def drop_abandoned(scratch: Path, now: float) -> int:
    """Remove the directories below `scratch` that are older than any attempt; how many. `now` as seconds since 1970."""
    found = [d for d in scratch.iterdir() if d.is_dir()] if scratch.is_dir() else []
    old = [d for d in found if now - d.stat().st_mtime > ABANDONED_AFTER]
    for directory in old:
        shutil.rmtree(directory, ignore_errors=True)  # another worker may be removing it too
    return len(old)
