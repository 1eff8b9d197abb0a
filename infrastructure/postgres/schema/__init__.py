"""Makes the database what the models declare, and tells where it is not."""

from infrastructure.postgres.schema.analyzer import SchemaAnalyzer, drift
from infrastructure.postgres.schema.differences import (
    Difference,
    DifferenceKind,
    EnsureReport,
    MigrationReport,
    Refusal,
)
from infrastructure.postgres.schema.ensure import ensure, rebuild

__all__ = [
    "Difference",
    "DifferenceKind",
    "EnsureReport",
    "MigrationReport",
    "Refusal",
    "SchemaAnalyzer",
    "drift",
    "ensure",
    "rebuild",
]
