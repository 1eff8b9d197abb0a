import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts.hello import HelloParameters
from core.errors import InvalidRequest
from core.machine import identity
from core.machine.identity import ADVANCE, TaskId


def test_job_id_is_the_sha256_of_canonical_json() -> None:
    parameters = HelloParameters(n=2, message="Grüezi")
    expected = hashlib.sha256(
        '{"job_type":"hello_world","parameters":{"failure_rate":0.0,"message":"Grüezi","n":2}}'.encode()
    ).hexdigest()
    assert identity.job_id("hello_world", parameters) == expected


def test_defaults_given_or_left_out_are_the_same_work() -> None:
    assert identity.job_id("hello_world", HelloParameters()) == identity.job_id("hello_world", HelloParameters(n=3))


def test_other_parameters_are_other_work() -> None:
    assert identity.job_id("hello_world", HelloParameters(n=4)) != identity.job_id("hello_world", HelloParameters(n=5))


def test_request_id_is_the_one_partners_compute() -> None:
    assert identity.request_id("D", "R", "v1.0") == hashlib.sha256(b"D|R|v1.0").hexdigest()[:32]


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.dictionaries(st.text(), c)))
def test_canonical_json_reads_back_as_the_same_value(value: object) -> None:
    assert json.loads(identity.canonical_json(value)) == value


@pytest.mark.parametrize("index", [0, 41, ADVANCE])
def test_task_id_reads_back_what_it_wrote(index: int) -> None:
    task = TaskId("ab" * 32, 3, index)
    assert TaskId.parse(str(task)) == task


@pytest.mark.parametrize(
    "text", ["", "x-s1-0", "ab" * 32, f"{'ab' * 32}-s1-", f"{'AB' * 32}-s1-0", f"{'ab' * 32}-s1--1"]
)
def test_what_is_not_a_task_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        TaskId.parse(text)
