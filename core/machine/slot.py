"""What is a worker process doing? It says so in memory that its parent shares, and can read when it is dead."""

from __future__ import annotations

import mmap
import struct
import threading
import time
from dataclasses import dataclass

from core.machine.identity import TaskId
from core.machine.store import Claimed

SIZE = mmap.PAGESIZE
_NAME = struct.Struct("128s")  #: the worker's name; empty until it is ready to claim
_SIGN = struct.Struct("@d")  #: when it last got an answer from the database
_TURN = struct.Struct("@Q")  #: odd while an item runs
_ITEM = struct.Struct("@qiiidd64s")
_SIGN_AT = _NAME.size
_TURN_AT = _SIGN_AT + _SIGN.size
_ITEM_AT = _TURN_AT + _TURN.size


@dataclass(frozen=True)
class Running:
    """The item whose handler runs. Times are `time.monotonic()`, which the processes of a machine share."""

    turn: int
    queue_id: int
    attempt: int
    task: TaskId
    started: float
    deadline: float


class Slot:
    """One worker's page. The worker writes; whoever shares the memory reads."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._turn = 0
        self._stop: threading.Event | None = None

    @classmethod
    def of_file(cls, descriptor: int) -> Slot:
        """The slot in an open file of `SIZE` bytes."""
        return cls(mmap.mmap(descriptor, SIZE))

    def announce(self, worker: str) -> None:
        """The worker is ready, under this name."""
        _NAME.pack_into(self._memory, 0, worker.encode())
        self.sign()

    def sign(self) -> None:
        """The worker is alive and reached the database."""
        _SIGN.pack_into(self._memory, _SIGN_AT, time.monotonic())

    def running(self, claimed: Claimed, seconds: float, stop: threading.Event) -> Slot:
        """Show the item from now to the end of the `with` block; `stop` is what `interrupt` sets."""
        now = time.monotonic()
        # The item is written while the turn is even, when nobody reads it, and so is never seen half-written.
        _ITEM.pack_into(
            self._memory,
            _ITEM_AT,
            claimed.queue_id,
            claimed.attempt,
            claimed.stage,
            claimed.task_index,
            now,
            now + seconds,
            claimed.job_id.encode(),
        )
        _SIGN.pack_into(self._memory, _SIGN_AT, now)
        self._stop = stop
        self._turn += 1
        _TURN.pack_into(self._memory, _TURN_AT, self._turn)
        return self

    def __enter__(self) -> Slot:
        return self

    def __exit__(self, *_: object) -> None:
        self._turn += 1
        _TURN.pack_into(self._memory, _TURN_AT, self._turn)
        self._stop = None

    def interrupt(self) -> None:
        """Ask the handler that runs to stop; nothing else."""
        stop = self._stop
        if stop is not None:
            stop.set()

    @property
    def worker(self) -> str | None:
        """The name under which it claims; None until it is ready."""
        (name,) = _NAME.unpack_from(self._memory, 0)
        return name.rstrip(b"\0").decode() or None

    @property
    def signed(self) -> float:
        """When it last showed that it gets on."""
        return float(_SIGN.unpack_from(self._memory, _SIGN_AT)[0])

    @property
    def fresh(self) -> bool:
        """True until the worker has run something."""
        return bool(_TURN.unpack_from(self._memory, _TURN_AT) == (0,))

    def read(self) -> Running | None:
        """What runs now; of a dead worker, what ran when it died."""
        while True:
            (turn,) = _TURN.unpack_from(self._memory, _TURN_AT)
            if turn % 2 == 0:
                return None
            queue_id, attempt, stage, index, started, deadline, job = _ITEM.unpack_from(self._memory, _ITEM_AT)
            if _TURN.unpack_from(self._memory, _TURN_AT) == (turn,):
                task = TaskId(job.rstrip(b"\0").decode(), stage, index)
                return Running(turn, queue_id, attempt, task, started, deadline)
