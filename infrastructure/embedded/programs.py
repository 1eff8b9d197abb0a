"""Runs another program and keeps what it said; the only place here that starts processes and waits for them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Account:
    """The user and group a program is started as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Finished:
    """How a program ended. Code 127 means that it could not be started at all, 124 that it took too long."""

    code: int
    output: str
    errors: str

    @property
    def ok(self) -> bool:
        """True when the program reported success."""
        return self.code == 0

    @property
    def said(self) -> str:
        """The end of everything it printed, for a message to a person."""
        return f"{self.output}\n{self.errors}".strip()[-2000:]


def run(
    argv: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    account: Account | None = None,
    timeout: float = 600,
) -> Finished:
    """Run to the end. Without `environment` the program sees the caller's, without `account` it runs as the caller."""
    try:
        done = subprocess.run(  # noqa: S603  programs and paths are ours, no shell
            [str(a) for a in argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=cwd,
            env=environment,
            timeout=timeout,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finished(124, "", f"{argv[0]} did not end within {timeout:.0f} s")
    except OSError as e:
        return Finished(127, "", str(e))
    return Finished(done.returncode, done.stdout, done.stderr)


def alive(pid: int) -> bool:
    """True while a process of that number exists, whoever owns it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
