"""What a field's annotation means as a column, and what the declarations promise about themselves."""

from __future__ import annotations

import subprocess
import sys
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import AwareDatetime, BaseModel, Field, JsonValue, ValidationError

from core.errors import ContractViolation
from core.models.platform import AccessLevel, DataType
from core.models.record import Record
from core.schema.columns import enum_name, field_column
from core.schema.metadata import RECORDS, build_metadata, columns_of, declared_enums
from core.schema.table import Column


class Colour(StrEnum):
    RED = "red"


class DarkShade(StrEnum):
    GREY = "grey"


class Sample(BaseModel):
    text: str
    short: Annotated[str, Field(max_length=40)]
    count: int
    big: Annotated[int, Column(sql_type="bigint")] | None = None
    ratio: float = 0.5
    flag: bool = True
    moment: AwareDatetime | None = None
    stored: Annotated[AwareDatetime | None, Column(default="now()", nullable=False)] = None
    document: dict[str, JsonValue] = Field(default_factory=dict)
    names: list[str] = Field(default_factory=list)
    anything: JsonValue | None = None
    colour: Colour = Colour.RED
    percent: Annotated[float, Field(ge=0, le=100)] | None = None
    code: Annotated[str, Field(pattern="^[a-z]+$", min_length=2)] = "it's"
    odd: object = None


def column(name: str) -> Any:
    return field_column(name, Sample.model_fields[name])


@pytest.mark.parametrize(
    ("name", "sql_type", "nullable", "default"),
    [
        ("text", "text", False, None),
        ("short", "varchar(40)", False, None),
        ("count", "integer", False, None),
        ("big", "bigint", True, None),
        ("ratio", "double precision", False, "0.5"),
        ("flag", "boolean", False, "true"),
        ("moment", "timestamptz", True, None),
        ("stored", "timestamptz", False, "now()"),
        ("document", "jsonb", False, "'{}'::jsonb"),
        ("names", "jsonb", False, "'[]'::jsonb"),
        ("anything", "jsonb", True, None),
        ("colour", "colour", False, "'red'"),
        ("percent", "double precision", True, None),
        ("code", "text", False, "'it''s'"),
    ],
)
def test_an_annotation_becomes_a_column(name: str, sql_type: str, nullable: bool, default: str | None) -> None:
    found = column(name)
    assert (found.sql_type, found.nullable, found.default) == (sql_type, nullable, default)


def test_bounds_and_patterns_become_rules() -> None:
    assert column("percent").rule == "percent >= 0 AND percent <= 100"
    assert column("code").rule == "char_length(code) >= 2 AND code ~ '^[a-z]+$'"
    assert column("count").rule is None


def test_a_type_without_a_column_is_refused_with_its_name() -> None:
    with pytest.raises(ContractViolation, match="odd"):
        column("odd")


def test_enum_types_are_named_in_snake_case() -> None:
    assert (enum_name(Colour), enum_name(DarkShade)) == ("colour", "dark_shade")


def test_declared_enums_carry_the_members_in_order() -> None:
    enums = declared_enums()
    assert enums["data_type"] == ("raster", "vector", "pointcloud", "mesh_3d", "tabular")
    assert enums["approval_status"] == ("pending", "approved", "rejected", "revoked", "superseded")
    assert enums["etl_status"] == ("pending", "processing", "completed", "failed", "superseded")


def test_every_record_is_frozen_and_refuses_unknown_fields() -> None:
    for record in RECORDS:
        assert record.model_config["frozen"] is True
        assert record.model_config["extra"] == "forbid"


def test_every_declared_record_is_known_to_the_metadata() -> None:
    assert set(Record.__subclasses__()) == set(RECORDS)


def test_the_tables_are_those_partners_and_operators_know() -> None:
    assert set(build_metadata().tables) == {
        "app.jobs",
        "app.stages",
        "app.tasks",
        "app.queue",
        "app.job_events",
        "app.outbox",
        "app.dead_letters",
        "app.janitor_runs",
        "app.system_snapshots",
        "app.api_requests",
        "app.submit_plans",
        "app.external_services",
        "app.external_service_checks",
        "app.curated_datasets",
        "app.curated_update_log",
        "app.consistency_findings",
        "app.consistency_runs",
        "app.table_measures",
        "app.repairs",
        "app.dataset_approvals",
        "app.audit_log",
        "app.approval_items",
        "app.approval_votes",
        "app.approval_history",
        "app.approval_policies",
        "app.api_keys",
        "app.dataset_readers",
        "app.artifacts",
        "app.held_effects",
        "app.idempotency_keys",
        "app.webhook_deliveries",
        "app.cog_metadata",
        "app.raster_render_configs",
        "app.dataset_refs",
        "app.vector_etl_tracking",
        "app.vector_loads",
        "geo.table_catalog",
        "geo.feature_collection_styles",
    }


def test_every_constraint_and_index_has_a_name_that_postgresql_keeps_whole() -> None:
    names: list[str] = []
    for table in build_metadata().tables.values():
        for item in (*table.constraints, *table.indexes):
            assert isinstance(item.name, str), f"{table.fullname}: {item!r} has no name"
            names.append(f"{table.fullname}.{item.name}")
            assert len(item.name) <= 63
    assert len(names) == len(set(names))


def test_two_builds_name_everything_alike() -> None:
    def names() -> list[str]:
        tables = build_metadata().tables.values()
        return sorted(str(item.name) for table in tables for item in (*table.constraints, *table.indexes))

    assert names() == names()


def test_sizes_and_keys_are_wide_enough_for_more_than_two_gigabytes() -> None:
    wide = {"size_bytes", "source_size_bytes", "source_size", "feature_count", "rows_read", "job_key", "queue_id"}
    for record in RECORDS:
        for found in columns_of(record):
            if found.name in wide:
                assert found.sql_type == "bigint", f"{record.__name__}.{found.name}"


def test_replicated_tables_use_no_enum_and_tell_nothing_of_jobs_or_containers() -> None:
    for record in RECORDS:
        if record.__table__.schema == "geo":
            for found in columns_of(record):
                assert found.enum is None
                assert not any(word in found.name for word in ("job", "container", "etl", "account"))


@pytest.mark.parametrize("text", ["ouo", "OUO", "Ouo"])
def test_access_levels_are_read_whatever_their_case(text: str) -> None:
    class Request(BaseModel):
        access_level: AccessLevel

    assert Request.model_validate({"access_level": text}).access_level is AccessLevel.OUO


@pytest.mark.parametrize("text", ["secret", "", "SECRET", None, 3])
def test_other_access_levels_are_refused(text: object) -> None:
    class Request(BaseModel):
        access_level: AccessLevel

    with pytest.raises(ValidationError, match="access_level"):
        Request.model_validate({"access_level": text})


def test_data_types_are_the_five_partners_know() -> None:
    assert [member.value for member in DataType] == ["raster", "vector", "pointcloud", "mesh_3d", "tabular"]


def test_models_and_contracts_load_no_database_library() -> None:
    script = (
        "import sys; import core.models.jobs, core.models.events, core.models.outbox, core.models.platform, "
        "core.models.approvals, core.models.catalog, core.models.cogs, core.contracts.effects; "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('sqlalchemy','geoalchemy2','alembic','psycopg')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
