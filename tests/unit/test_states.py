import pytest

from core import states
from core.states import ApprovalStatus, ArtifactStatus, JobStatus, StageStatus, TaskStatus

TABLES = [
    (JobStatus, states.JOB_TRANSITIONS),
    (StageStatus, states.STAGE_TRANSITIONS),
    (TaskStatus, states.TASK_TRANSITIONS),
    (ApprovalStatus, states.APPROVAL_TRANSITIONS),
    (ArtifactStatus, states.ARTIFACT_TRANSITIONS),
]


@pytest.mark.parametrize(("kind", "table"), TABLES)
def test_every_state_has_a_row_and_no_state_follows_itself(kind: type, table: dict) -> None:
    assert set(table) == set(kind)
    assert all(state not in following for state, following in table.items())


@pytest.mark.parametrize(("kind", "table"), TABLES)
def test_every_state_but_the_first_can_be_reached(kind: type, table: dict) -> None:
    first = next(iter(kind))
    reached, todo = {first}, [first]
    while todo:
        new = table[todo.pop()] - reached
        reached |= new
        todo += new
    assert reached == set(kind)


def test_ends_of_a_job_are_final() -> None:
    assert states.terminal_job_statuses() == {"completed", "completed_with_errors", "failed", "cancelled"}
