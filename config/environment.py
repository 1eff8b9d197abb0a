"""The environment a child process gets."""

from __future__ import annotations

import os
from collections.abc import Mapping


def inherited(**overrides: str) -> dict[str, str]:
    """This process's environment with some variables set."""
    return {**os.environ, **overrides}


def schedule(setting: str, default: str) -> str:
    """A timer's NCRONTAB expression."""
    return os.environ.get(setting) or default


def preset(variables: Mapping[str, str]) -> None:
    """Set variables that only a library reads, unless they are set."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
