"""How much memory does this process have, and how much did it ever have?"""

from __future__ import annotations

import re
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_mb() -> float | None:
    """Resident memory in MiB; None where there is no /proc."""
    return _read("VmRSS")


def peak_mb() -> float | None:
    """The most that was ever resident, in MiB; None where there is no /proc."""
    return _read("VmHWM")


def _read(name: str) -> float | None:
    if not _STATUS.exists():
        return None
    found = re.search(rf"^{name}:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return round(int(found[1]) / 1024, 1) if found else None
