"""What was noticed about a file, of whatever kind."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"  #: good to know
    WARNING = "warning"  #: what is published differs from the file, or the file looks wrong; refused in strict mode
