"""What this machine lacks for the embedded system, and the one command that mends each."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConfigurationError
from infrastructure.embedded import binaries, debian, identity

_ELSEWHERE = "export GEOMACHINE_HOME=/another/folder"
_FREE_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """Something that is missing: what, why it matters, and the command that mends it."""

    what: str
    why: str
    command: str


def examine(home: Path, folder: Path) -> list[Finding]:
    """Everything that would keep a cluster in `home` with binaries in `folder` from working; empty when all is well.

    Starts nothing and changes nothing. What Geomachine fetches by itself is not missing.
    """
    place = next(p for p in (home.absolute(), *home.absolute().parents) if p.is_dir())
    installation = binaries.choose(binaries.find(folder))
    return [
        *_postgresql(installation),
        *_time_zones(installation),
        *_writable(place),
        *_space(place),
        *_identity(place, home / "data", installation),
    ]


def _postgresql(installation: binaries.Installation | None) -> list[Finding]:
    if installation is not None or debian.supported():
        return []
    why = f"the embedded database needs version {binaries.MIN_MAJOR} or newer with {', '.join(binaries.EXTENSIONS)}"
    return [Finding("PostgreSQL with PostGIS", why, binaries.install_command())]


def _time_zones(installation: binaries.Installation | None) -> list[Finding]:
    unpacked = debian.supported() if installation is None else installation.prefix is not None
    if not unpacked or debian.time_zones_known():
        return []
    return [Finding("time zones", "PostgreSQL cannot store timestamps without them", binaries.TIME_ZONE_COMMAND)]


def _writable(place: Path) -> list[Finding]:
    if os.access(place, os.W_OK | os.X_OK):
        return []
    return [Finding(f"permission to write to {place}", "data, keys and logs are kept there", _ELSEWHERE)]


def _space(place: Path) -> list[Finding]:
    free = shutil.disk_usage(place).free
    if free >= _FREE_BYTES:
        return []
    return [Finding(f"disk space in {place}", f"{free / 1e6:.0f} MB are free, 2 GB are the least", _ELSEWHERE)]


def _identity(place: Path, data: Path, installation: binaries.Installation | None) -> list[Finding]:
    if installation is None or not os.access(place, os.W_OK | os.X_OK):
        return []
    try:
        identity.choose(place, data, installation.bin / "postgres")
    except ConfigurationError as e:
        return [Finding("a user to run PostgreSQL as", e.message, _ELSEWHERE)]
    return []
