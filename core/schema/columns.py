"""What column does a field make? Reads the annotation of a model's field as PostgreSQL would have it."""

from __future__ import annotations

import types
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AwareDatetime, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.errors import ContractViolation
from core.schema.table import Check, Column

_SQL_TYPES: dict[object, str] = {
    str: "text",
    int: "integer",
    float: "double precision",
    bool: "boolean",
    datetime: "timestamptz",
    AwareDatetime: "timestamptz",
}
_UNIONS = (Union, types.UnionType)


@dataclass(frozen=True)
class FieldColumn:
    """A column, complete. `enum` is set where `sql_type` names an enum; `rule` is what bounds and pattern demand."""

    name: str
    sql_type: str
    enum: type[StrEnum] | None
    nullable: bool
    default: str | None
    declared: Column
    rule: str | None

    @property
    def check(self) -> Check | None:
        """The rule as a constraint."""
        return Check(self.name, self.rule) if self.rule else None


def field_column(name: str, info: FieldInfo) -> FieldColumn:
    """The column of one field. Raises ContractViolation for an annotation that no column type fits."""
    kinds, metadata, optional = _flatten(info.annotation)
    metadata = [*info.metadata, *metadata]
    declared = next((m for m in metadata if isinstance(m, Column)), Column())
    enum = kinds[0] if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], StrEnum) else None
    sql_type = declared.sql_type or _sql_type(name, kinds, enum, metadata)
    return FieldColumn(
        name=name,
        sql_type=sql_type,
        enum=enum if declared.sql_type is None else None,
        nullable=optional if declared.nullable is None else declared.nullable,
        default=declared.default or _default(info, sql_type),
        declared=declared,
        rule=_rule(name, metadata),
    )


def _flatten(annotation: object) -> tuple[list[object], list[object], bool]:
    """The types of a union, what is annotated on any of them, and whether None is among them."""
    if get_origin(annotation) is Annotated:
        inner, *extra = get_args(annotation)
        kinds, metadata, optional = _flatten(inner)
        expanded: list[object] = []
        for item in extra:
            expanded += item.metadata if isinstance(item, FieldInfo) else [item]
        return kinds, expanded + metadata, optional
    if get_origin(annotation) in _UNIONS:
        kinds, metadata, optional = [], [], False
        for member in get_args(annotation):
            if member is type(None):
                optional = True
                continue
            more_kinds, more_metadata, more_optional = _flatten(member)
            kinds += more_kinds
            metadata += more_metadata
            optional = optional or more_optional
        return kinds, metadata, optional
    return [annotation], [], False


def _sql_type(name: str, kinds: list[object], enum: type[StrEnum] | None, metadata: list[object]) -> str:
    if enum is not None:
        return enum_name(enum)
    if all(_is_json(kind) for kind in kinds):
        return "jsonb"
    found = _SQL_TYPES.get(kinds[0]) if len(kinds) == 1 else None
    if found is None:
        raise ContractViolation(f"Field {name!r} has no column type.", hint="Annotate it with Column(sql_type=...).")
    if found == "text":
        longest = next((m.max_length for m in metadata if isinstance(m, MaxLen)), None)
        return f"varchar({longest})" if longest else "text"
    return found


def _is_json(kind: object) -> bool:
    return kind is JsonValue or get_origin(kind) in (dict, list, tuple)


def enum_name(enum: type[StrEnum]) -> str:
    """`JobStatus` -> `job_status`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in enum.__name__).lstrip("_")


def _default(info: FieldInfo, sql_type: str) -> str | None:
    value: Any = info.get_default(call_default_factory=True, validated_data={})
    match value:
        case None:
            return None
        case _ if value is PydanticUndefined:
            return None
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            quoted = value.replace("'", "''")
            return f"'{quoted}'"
        case [] | {}:
            return f"'{type(value)()!r}'::{sql_type}"
        case _:
            raise ContractViolation(f"The default {value!r} cannot be a column's default.")


def _rule(name: str, metadata: list[object]) -> str | None:
    parts: list[str] = []
    for item in metadata:
        match item:
            case Ge():
                parts.append(f"{name} >= {item.ge}")
            case Gt():
                parts.append(f"{name} > {item.gt}")
            case Le():
                parts.append(f"{name} <= {item.le}")
            case Lt():
                parts.append(f"{name} < {item.lt}")
            case MinLen():
                parts.append(f"char_length({name}) >= {item.min_length}")
            case _ if isinstance(pattern := getattr(item, "pattern", None), str):
                parts.append(f"{name} ~ '{pattern}'")
            case _:
                pass
    return " AND ".join(parts) or None
