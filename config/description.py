"""What is set, without what is secret: for snapshots and their comparison."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue, SecretStr
from pydantic_settings import BaseSettings

from config.environment import schedules
from config.settings import Settings


def described(settings: Settings) -> Mapping[str, JsonValue]:
    """Every setting by its name. Of a secret it says only whether it is set."""
    found: dict[str, JsonValue] = {}
    for part in vars(settings).values():
        if isinstance(part, BaseSettings):
            for name, field in type(part).model_fields.items():
                found[str(field.alias)] = _shown(getattr(part, name))
    return dict(sorted({**found, **schedules()}.items()))


def _shown(value: object) -> JsonValue:
    if isinstance(value, SecretStr):
        return "set"
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(getattr(value, "value", value))
