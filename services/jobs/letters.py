"""Mending a dead letter: may its parameters be changed, and are the new ones such as what runs again can read?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue, ValidationError

from core.errors import Conflict, InvalidRequest
from core.machine.identity import ADVANCE
from core.machine.registry import Registry
from core.models.dead_letters import DeadLetter, DeadLetterKind

Json = dict[str, JsonValue]


def mended(registry: Registry, letter: DeadLetter, changes: Mapping[str, JsonValue]) -> Json:
    """The payload with the changes put in, as its task type writes it.

    Raises InvalidRequest naming the fields that its task type refuses, Conflict for what has no parameters of its own.
    """
    payload: Json = {**letter.payload, **changes}
    match letter.kind:
        case DeadLetterKind.CALLBACK:
            return payload
        case DeadLetterKind.TASK if letter.task_index != ADVANCE and letter.task_type is not None:
            return _validated(registry, letter.task_type, payload)
        case _:
            raise Conflict(
                f"Dead letter {letter.dead_letter_id} has no parameters of its own.",
                hint="It runs again with its job's; submit the job with others instead.",
            )


def _validated(registry: Registry, task_type: str, payload: Json) -> Json:
    model = registry.task(task_type).input
    try:
        return cast("Json", model.model_validate(payload).model_dump(mode="json"))
    except ValidationError as e:
        problems = [f"{'.'.join(map(str, p['loc'])) or 'parameters'}: {p['msg']}" for p in e.errors(include_url=False)]
        hint = f"Fields of {task_type}: {', '.join(sorted(model.model_fields))}."
        raise InvalidRequest("; ".join(problems), hint=hint) from e
