"""The pipe between reading and writing."""

from __future__ import annotations

import threading
import time

import pyarrow as pa
import pytest

from core.errors import Interrupted, UnreadableSource
from services.vector.loading import in_background

BATCH = pa.record_batch({"a": [1]})


def readers() -> int:
    return sum(t.name == "vector-reader" for t in threading.enumerate())


def test_everything_read_is_passed_on_in_order():
    batches = [pa.record_batch({"a": [i]}) for i in range(20)]
    assert [b.column(0)[0].as_py() for b in in_background(batches, lambda: None)] == list(range(20))
    assert readers() == 0


def test_an_error_of_the_reader_is_raised_to_the_writer():
    def source():
        yield BATCH
        raise UnreadableSource("line 7 is damaged")

    with pytest.raises(UnreadableSource, match="line 7"):
        list(in_background(source(), lambda: None))
    assert readers() == 0


def test_when_the_writer_gives_up_the_reader_stops():
    read = []

    def source():
        for i in range(1000):
            read.append(i)
            yield BATCH

    pipe = in_background(source(), lambda: None)
    next(pipe)
    pipe.close()
    assert readers() == 0 and len(read) < 10


def test_what_was_read_half_is_closed_by_the_thread_that_read_it():
    closed = []

    def source():
        try:
            while True:
                yield BATCH
        finally:
            closed.append(threading.current_thread().name)

    half_read = source()
    pipe = in_background(half_read, lambda: None)
    next(pipe)
    pipe.close()
    assert closed == ["vector-reader"]


def test_the_reader_is_never_more_than_a_few_batches_ahead():
    read = []

    def source():
        for i in range(100):
            read.append(i)
            yield BATCH

    pipe = in_background(source(), lambda: None)
    next(pipe)
    time.sleep(0.3)
    assert len(read) <= 5
    pipe.close()


def test_a_request_to_stop_is_raised_between_batches():
    def stop() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        list(in_background([BATCH] * 50, stop))
    assert readers() == 0
