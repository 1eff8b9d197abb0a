"""Which tables, constraints and enums do the models declare? The answer as SQLAlchemy metadata.

Only the schema commands import this module: SQLAlchemy stays out of the request path.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from geoalchemy2 import Geometry as GeometryType
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import TypeEngine

from core.errors import ContractViolation
from core.models.access import ApiKey, DatasetReader
from core.models.approvals import ApprovalChange, ApprovalItem, ApprovalVote, DatasetApproval
from core.models.artifacts import Artifact, HeldEffect
from core.models.audit import AuditEntry
from core.models.catalog import FeatureCollectionStyle, GeoTableCatalog, VectorEtlTracking, VectorLoad
from core.models.cogs import CogMetadata, RasterRenderConfig
from core.models.consistency import ConsistencyFinding, ConsistencyRun, Repair, TableMeasure
from core.models.curated import CuratedDataset, CuratedUpdate
from core.models.datasets import DatasetRef
from core.models.dead_letters import DeadLetter
from core.models.events import JobEvent
from core.models.janitor import JanitorRun
from core.models.jobs import JobRecord, QueueEntry, StageRecord, TaskRecord
from core.models.outbox import OutboxMessage
from core.models.platform import ApiRequest, IdempotencyKey, SubmitPlan
from core.models.policies import ApprovalPolicy
from core.models.record import Record
from core.models.services import ExternalService, ServiceCheck
from core.models.snapshots import SystemSnapshot
from core.models.webhooks import WebhookDelivery
from core.schema.columns import FieldColumn, enum_name, field_column
from core.schema.table import Check, ForeignKey, Index, Table

RECORDS: tuple[type[Record], ...] = (
    JobRecord,
    StageRecord,
    TaskRecord,
    QueueEntry,
    JobEvent,
    OutboxMessage,
    DeadLetter,
    JanitorRun,
    ApiRequest,
    IdempotencyKey,
    SubmitPlan,
    DatasetApproval,
    ApprovalItem,
    ApprovalVote,
    ApprovalChange,
    ApprovalPolicy,
    Artifact,
    HeldEffect,
    WebhookDelivery,
    AuditEntry,
    ApiKey,
    DatasetReader,
    CogMetadata,
    RasterRenderConfig,
    GeoTableCatalog,
    VectorEtlTracking,
    VectorLoad,
    FeatureCollectionStyle,
    DatasetRef,
    ExternalService,
    ServiceCheck,
    CuratedDataset,
    CuratedUpdate,
    SystemSnapshot,
    ConsistencyFinding,
    ConsistencyRun,
    TableMeasure,
    Repair,
)

ENUM_SCHEMA = "app"

_TYPES: dict[str, TypeEngine[Any]] = {
    "text": sa.Text(),
    "integer": sa.Integer(),
    "bigint": sa.BigInteger(),
    "real": sa.REAL(),
    "double precision": sa.Double(),
    "boolean": sa.Boolean(),
    "timestamptz": pg.TIMESTAMP(timezone=True),
    "jsonb": pg.JSONB(),
}
_VARCHAR = re.compile(r"varchar\((\d+)\)")


def columns_of(record: type[Record]) -> tuple[FieldColumn, ...]:
    """The columns of a record's table, in the order of its fields."""
    return tuple(field_column(name, info) for name, info in record.model_fields.items())


def declared_enums() -> dict[str, tuple[str, ...]]:
    """The labels of every enum that a column uses, by type name."""
    enums: dict[str, tuple[str, ...]] = {}
    for record in RECORDS:
        for column in columns_of(record):
            if column.enum is not None:
                enums[enum_name(column.enum)] = tuple(member.value for member in column.enum)
    return dict(sorted(enums.items()))


def build_metadata(prefix: str = "") -> sa.MetaData:
    """Every declared table. A prefix on the schema names makes a second, unrelated set of the same tables."""
    metadata = sa.MetaData()
    for record in RECORDS:
        _add_table(metadata, record, prefix)
    return metadata


def _add_table(metadata: sa.MetaData, record: type[Record], prefix: str) -> None:
    declared = record.__table__
    columns = columns_of(record)
    checks = [column.check for column in columns if column.check is not None]
    table = sa.Table(
        declared.name,
        metadata,
        *(_column(column, prefix) for column in columns),
        sa.PrimaryKeyConstraint(*declared.primary_key, name=f"pk_{declared.name}"),
        *(sa.UniqueConstraint(*unique, name=f"uq_{declared.name}_{'_'.join(unique)}") for unique in declared.uniques),
        *(_check(declared, check) for check in (*checks, *declared.checks)),
        *(_foreign_key(declared, key, prefix) for key in declared.foreign_keys),
        schema=prefix + declared.schema,
        postgresql_with=dict(declared.storage),
    )
    for index in declared.indexes:
        _add_index(table, declared, index)


def _column(column: FieldColumn, prefix: str) -> sa.Column[Any]:
    generated = [sa.Identity(always=True)] if column.declared.identity else []
    return sa.Column(
        column.name,
        _type(column, prefix),
        *generated,
        nullable=column.nullable,
        server_default=sa.text(column.default) if column.default is not None else None,
    )


def _type(column: FieldColumn, prefix: str) -> TypeEngine[Any]:
    if column.declared.geometry is not None:
        geometry = column.declared.geometry
        return GeometryType(geometry.type, srid=geometry.srid, spatial_index=False)
    if column.enum is not None:
        return _enum(column.enum, prefix)
    if (varchar := _VARCHAR.fullmatch(column.sql_type)) is not None:
        return sa.VARCHAR(int(varchar[1]))
    if column.sql_type not in _TYPES:
        raise ContractViolation(f"Column {column.name!r} has the unknown type {column.sql_type!r}.")
    return _TYPES[column.sql_type]


def _enum(enum: type[StrEnum], prefix: str) -> TypeEngine[Any]:
    labels = (member.value for member in enum)
    return pg.ENUM(*labels, name=enum_name(enum), schema=prefix + ENUM_SCHEMA, create_type=False)


def _check(table: Table, check: Check) -> sa.CheckConstraint:
    return sa.CheckConstraint(sa.text(check.rule), name=f"ck_{table.name}_{check.name}")


def _foreign_key(table: Table, key: ForeignKey, prefix: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        key.columns,
        [f"{prefix}{key.table}.{column}" for column in key.references],
        name=f"fk_{table.name}_{'_'.join(key.columns)}",
        ondelete=key.on_delete,
    )


def _add_index(table: sa.Table, declared: Table, index: Index) -> None:
    kind = "ux" if index.unique else "ix"
    sa.Index(
        index.name or f"{kind}_{declared.name}_{'_'.join(index.columns)}",
        *(table.c[column] for column in index.columns),
        unique=index.unique,
        postgresql_using=index.method,
        postgresql_where=sa.text(index.where) if index.where is not None else None,
    )
