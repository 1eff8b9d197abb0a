import mmap
import tempfile
import threading
from collections.abc import Iterator

import pytest

from core.errors import OutOfMemory
from core.machine.slot import SIZE, Slot
from core.machine.store import Claimed
from triggers.worker.deaths import Sentence, judge


def item(queue_id: int = 7, stage: int = 2, index: int = 5) -> Claimed:
    return Claimed(queue_id, 1, "ab" * 32, "job", stage, index, 3, 0, 4, False, "task")


@pytest.fixture
def slots() -> Iterator[tuple[Slot, Slot]]:
    """The worker's and the parent's view of one page."""
    with tempfile.TemporaryFile() as file:
        file.truncate(SIZE)
        yield Slot.of_file(file.fileno()), Slot.of_file(file.fileno())


def test_what_runs_is_seen_from_outside_with_its_deadline(slots: tuple[Slot, Slot]) -> None:
    worker, parent = slots
    with worker.running(item(), 30.0, threading.Event()):
        seen = parent.read()
        assert seen is not None
        assert (seen.queue_id, seen.attempt, str(seen.task)) == (7, 3, f"{'ab' * 32}-s2-5")
        assert seen.deadline - seen.started == pytest.approx(30)
    assert parent.read() is None


def test_an_advance_is_named_as_one(slots: tuple[Slot, Slot]) -> None:
    worker, parent = slots
    with worker.running(item(index=-1), 30.0, threading.Event()):
        assert str(parent.read().task).endswith("-s2-advance")


def test_the_slot_is_cleared_though_the_handler_raises(slots: tuple[Slot, Slot]) -> None:
    worker, parent = slots
    with pytest.raises(ZeroDivisionError), worker.running(item(), 30.0, threading.Event()):
        raise ZeroDivisionError
    assert parent.read() is None


def test_every_item_has_a_turn_of_its_own(slots: tuple[Slot, Slot]) -> None:
    worker, parent = slots
    turns = []
    for _ in range(3):
        with worker.running(item(), 30.0, threading.Event()):
            turns.append(parent.read().turn)
    assert len(set(turns)) == 3


def test_a_worker_has_no_name_until_it_is_ready_and_is_fresh_until_it_has_run_something() -> None:
    slot = Slot(mmap.mmap(-1, SIZE))
    assert (slot.worker, slot.fresh, slot.read()) == (None, True, None)
    slot.announce("host-1-abc")
    assert (slot.worker, slot.fresh) == ("host-1-abc", True)
    with slot.running(item(), 1.0, threading.Event()):
        pass
    assert slot.fresh is False


def test_an_interruption_reaches_only_what_runs() -> None:
    slot = Slot(mmap.mmap(-1, SIZE))
    first, second = threading.Event(), threading.Event()
    slot.interrupt()
    with slot.running(item(), 1.0, first):
        slot.interrupt()
    slot.interrupt()
    with slot.running(item(), 1.0, second):
        assert (first.is_set(), second.is_set()) == (True, False)


def test_a_runner_killed_too_late_charges_nobody(slots: tuple[Slot, Slot]) -> None:
    worker, parent = slots
    error = OutOfMemory("The task's process used 900 MiB; a task may use 400 MiB.")
    with worker.running(item(queue_id=1), 1.0, threading.Event()):
        guilty = parent.read()
        assert judge("w", guilty, -9, Sentence(guilty.turn, error)).running == guilty
    with worker.running(item(queue_id=2), 1.0, threading.Event()):
        innocent = parent.read()
        assert judge("w", innocent, -9, Sentence(guilty.turn, error)).running is None
        assert judge("w", innocent, -9, Sentence(innocent.turn, None)).running is None
        assert judge("w", innocent, -11, None).running == innocent
