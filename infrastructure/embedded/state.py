"""What a cluster remembers about itself beside its data: the password above all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from core.errors import ConfigurationError


class Mode(StrEnum):
    """What a cluster's data is worth."""

    DURABLE = "durable"  #: every commit reaches the disk; never wiped
    DISPOSABLE = "disposable"  #: nothing is flushed; made again when it cannot start


@dataclass(frozen=True)
class State:
    """The file `cluster.json`, readable by its owner only. Its presence marks a folder as a cluster of ours."""

    mode: Mode
    password: str
    port: int | None = None

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    @staticmethod
    def load(path: Path) -> State | None:
        """What was saved, or None where nothing was. Raises ConfigurationError when it cannot be read."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return State(Mode(values["mode"]), str(values["password"]), values["port"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise ConfigurationError(
                f"The state of the embedded database cannot be read from {path}: {e}",
                hint="Run as the user who made it, or set GEOMACHINE_HOME to another folder.",
            ) from e
