"""Which roles are there? The words that credentials carry and routes ask for."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a caller may do. Nobody without one sees more than the published catalogue."""

    PARTNER = "partner"  #: submit, and see its own
    REVIEWER = "reviewer"  #: approve and reject
    ADMIN = "admin"  #: everything
