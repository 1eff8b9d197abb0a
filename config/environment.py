"""The environment a child process gets."""

from __future__ import annotations

import os
from collections.abc import Mapping


def inherited(**overrides: str) -> dict[str, str]:
    """This process's environment with some variables set."""
    return {**os.environ, **overrides}


def schedule(setting: str, default: str) -> str:
    """What a timer's setting says, else the default."""
    return os.environ.get(setting) or default


def schedules() -> dict[str, str]:
    """The timers' settings that are set."""
    return {name: value for name, value in os.environ.items() if name.endswith("_SCHEDULE") and value}


def preset(variables: Mapping[str, str]) -> None:
    """Set variables that only a library reads, unless they are set."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
