"""How Arrow batches become PostgreSQL's binary COPY format, without a cast on either side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg.types.numeric import DecimalBinaryDumper

from core.contracts.tables import FeatureTable, SqlType
from core.errors import ContractViolation

ARROW_TYPES: Mapping[SqlType, pa.DataType] = {
    SqlType.BOOLEAN: pa.bool_(),
    SqlType.SMALLINT: pa.int16(),
    SqlType.INTEGER: pa.int32(),
    SqlType.BIGINT: pa.int64(),
    SqlType.REAL: pa.float32(),
    SqlType.DOUBLE: pa.float64(),
    SqlType.NUMERIC: pa.decimal128(38, 0),
    SqlType.TEXT: pa.string(),
    SqlType.BYTEA: pa.binary(),
    SqlType.DATE: pa.date32(),
    SqlType.TIME: pa.time64("us"),
    SqlType.TIMESTAMP: pa.timestamp("us"),
    SqlType.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    SqlType.INTERVAL: pa.duration("us"),
    SqlType.JSONB: pa.string(),
    SqlType.BOOLEAN_LIST: pa.list_(pa.bool_()),
    SqlType.INTEGER_LIST: pa.list_(pa.int32()),
    SqlType.BIGINT_LIST: pa.list_(pa.int64()),
    SqlType.DOUBLE_LIST: pa.list_(pa.float64()),
    SqlType.TEXT_LIST: pa.list_(pa.string()),
}


def encoded(table: FeatureTable, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[bytes, int]]:
    """Pieces of a COPY stream and how many rows each holds. Raises ContractViolation for a wrong batch."""
    encoder: ArrowToPostgresBinaryEncoder | None = None
    for batch in batches:
        if encoder is None:
            _require_exact_types(table, batch.schema)
        batch = _with_plain_numbers(batch)
        if encoder is None:
            encoder = _encoder(table, batch.schema)
            schema = batch.schema
            yield encoder.write_header(), 0
        if not batch.schema.equals(schema):
            raise ContractViolation(f"The batches for {table.name} do not all have the same columns.")
        yield encoder.write_batch(batch), batch.num_rows
    if encoder is not None:
        yield encoder.finish(), 0


def _with_plain_numbers(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Numbers too wide for the encoder as the bytes that the server reads for them; what they are it knows itself."""
    dumper = DecimalBinaryDumper(Decimal)
    for position, field in enumerate(batch.schema):
        if pa.types.is_decimal256(field.type):
            numbers = (None if n is None else dumper.dump(n) for n in batch.column(position).to_pylist())
            batch = batch.set_column(position, field.name, pa.array(numbers, pa.binary()))
    return batch


def _encoder(table: FeatureTable, schema: pa.Schema) -> ArrowToPostgresBinaryEncoder:
    builders = {field.name: ArrowToPostgresBinaryEncoder.infer_encoder(field) for field in schema}
    for column in table.columns:
        if column.sql_type is SqlType.JSONB:
            builders[column.name] = StringEncoderBuilder.new_with_output(schema.field(column.name), Jsonb())
    return ArrowToPostgresBinaryEncoder.new_with_encoders(schema, builders)


def _require_exact_types(table: FeatureTable, schema: pa.Schema) -> None:
    # The server stores eight bytes as eight bytes: an int64 sent to a double precision column arrives as 5e-324.
    names = ["id", *(c.name for c in table.columns), "geom"]
    if schema.names != names:
        raise ContractViolation(f"The batches for {table.name} have columns {schema.names}, expected {names}.")
    expected = [pa.int64(), *(ARROW_TYPES[c.sql_type] for c in table.columns), pa.binary()]
    for field, wanted in zip(schema, expected, strict=True):
        if not _same(field.type, wanted):
            raise ContractViolation(f"Column {field.name} of {table.name} arrives as {field.type}, expected {wanted}.")


def _same(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_decimal(wanted):
        return bool(pa.types.is_decimal128(found) or pa.types.is_decimal256(found))
    if pa.types.is_list(wanted):
        return pa.types.is_list(found) and bool(found.value_type.equals(wanted.value_type))
    return bool(found.equals(wanted))
