"""What a stranger's answer says, as a database can keep it."""

from __future__ import annotations

import re
from dataclasses import replace

from pydantic import JsonValue

from core.contracts.services import Outcome

#: NUL and halves of surrogate pairs: JSON can escape them, PostgreSQL's text can hold neither.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(outcome: Outcome) -> Outcome:
    """The same outcome without the characters that PostgreSQL refuses."""
    found = outcome.detection
    if found is not None:
        capabilities = {_text(name): _plain(value) for name, value in found.capabilities.items()}
        metadata = {_text(name): _plain(value) for name, value in found.metadata.items()}
        found = replace(found, probe_url=_text(found.probe_url), capabilities=capabilities, metadata=metadata)
    return replace(outcome, reason=None if outcome.reason is None else _text(outcome.reason), detection=found)


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return _text(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _text(value: str) -> str:
    return _UNSTORABLE.sub("", value)
