"""What is the id of a job, a task, a request? One function each, used by every route."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from pydantic import BaseModel, JsonValue

from core.errors import InvalidRequest

ADVANCE = -1  #: the task index of a stage's advance item

_TASK_ID = re.compile(r"^(?P<job>[0-9a-f]{64})-s(?P<stage>\d{1,4})-(?P<index>\d{1,9}|advance)$")


def canonical_json(value: JsonValue) -> str:
    """The one spelling of a JSON value: sorted keys, no spaces, no escapes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def job_id(job_type: str, parameters: BaseModel) -> str:
    """Same work, same id: SHA-256 over the job type and its validated parameters, in hex."""
    body: JsonValue = {"job_type": job_type, "parameters": parameters.model_dump(mode="json")}
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()


def request_id(dataset_id: str, resource_id: str, version_id: str) -> str:
    """The partner's identity of a dataset version: first 32 hex digits of a SHA-256."""
    return hashlib.sha256(f"{dataset_id}|{resource_id}|{version_id}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class TaskId:
    """Which task, or which stage's advance, of which job."""

    job_id: str
    stage: int
    index: int

    def __str__(self) -> str:
        return f"{self.job_id}-s{self.stage}-{'advance' if self.index == ADVANCE else self.index}"

    @classmethod
    def parse(cls, text: str) -> TaskId:
        """Read what `str` wrote. Raises InvalidRequest."""
        match = _TASK_ID.match(text)
        if match is None:
            raise InvalidRequest(f"{text[:100]!r} is not a task id.", hint="It looks like <64 hex>-s1-0.")
        index = ADVANCE if match["index"] == "advance" else int(match["index"])
        return cls(match["job"], int(match["stage"]), index)
