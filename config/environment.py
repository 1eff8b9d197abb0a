"""The environment a child process gets."""

from __future__ import annotations

import os


def inherited(**overrides: str) -> dict[str, str]:
    """This process's environment with some variables set."""
    return {**os.environ, **overrides}


def schedule(setting: str, default: str) -> str:
    """A timer's NCRONTAB expression."""
    return os.environ.get(setting) or default
