"""What becomes of the directories of attempts that were killed?"""

from __future__ import annotations

import os
from pathlib import Path

from core.machine.scratch import ABANDONED_AFTER, drop_abandoned

NOW = 1_800_000_000.0


def made(scratch: Path, name: str, age: float) -> Path:
    folder = scratch / name
    folder.mkdir(parents=True)
    (folder / "part.tif").write_bytes(b"x")
    os.utime(folder, (NOW - age, NOW - age))
    return folder


def test_only_directories_older_than_any_attempt_are_removed(tmp_path: Path) -> None:
    killed = made(tmp_path, "0a1b2c3d-x", ABANDONED_AFTER + 60)
    running = made(tmp_path, "0a1b2c3d-y", ABANDONED_AFTER - 60)
    assert drop_abandoned(tmp_path, NOW) == 1
    assert (killed.exists(), running.exists()) == (False, True)


def test_a_machine_that_never_worked_has_nothing_to_remove(tmp_path: Path) -> None:
    assert drop_abandoned(tmp_path / "none", NOW) == 0
