"""Text tables: comma, semicolon, tab or bar between cells, with coordinates or WKT in them.

A column gets a type only when every one of its values, in the whole file, can be written back the same: codes
with leading zeros and numbers of twenty digits stay text.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from core.contracts.vector import Delimited, FindingCode, Partition
from core.errors import NoFeatures, UnreadableSource
from services.vector import coordinates
from services.vector.findings import Findings
from services.vector.readers import GEOMETRY, Survey, whole
from services.vector.reference_systems import StatedCrs

_BLOCK = 4 << 20
_DELIMITERS = ",;\t|"
#: Arrow reads UTF-8 itself, with or without a byte order mark; other encodings go through Python.
_ARROW_NAMES = {"utf-8-sig": "utf8"}
#: Cells that mean nothing was recorded, in columns of numbers, dates and truth values; in text only the empty cell.
_NULLS = ["", "NULL", "null", "NA", "N/A", "n/a", "#N/A", "nan", "NaN"]
_ZERO_LED = r"^\s*[+-]?0\d|^\s*\+|^\s*[+-]?\d{19,}"
_LATER: Mapping[pa.DataType, tuple[pa.DataType, ...]] = {
    pa.int64(): (pa.float64(),),
    pa.float64(): (),
    pa.date32(): (pa.timestamp("us"),),
    pa.timestamp("us"): (),
    pa.bool_(): (),
}
_FIRST_CHOICES = (pa.int64(), pa.float64(), pa.date32(), pa.timestamp("us"), pa.bool_())


class DelimitedReader:
    """A text table as features."""

    def __init__(self, path: Path, dialect: Delimited, where: coordinates.CoordinateColumns, shown: str) -> None:
        self._path, self._dialect, self._where, self._shown = path, dialect, where, shown

    @cached_property
    def attributes(self) -> pa.Schema:
        """Every column but the WKT one, typed by all of its values."""
        kept = [f for f in self._typed[0] if f.name != self._where.wkt]
        return pa.schema(kept)

    @property
    def stated_crs(self) -> StatedCrs:
        """Text tables state none."""
        return StatedCrs(None)

    @property
    def sure_type(self) -> str | None:
        """Coordinates make points."""
        return "Point" if self._where.wkt is None else None

    @property
    def survey(self) -> Survey | None:
        """None was made."""
        return None

    @property
    def feature_count(self) -> int:
        """Rows that have as many cells as the header."""
        return self._typed[1]

    def geometries(self, _: Findings) -> Iterator[pa.Array]:
        """The geometries alone."""
        for batch in self._rows(None, None):
            yield coordinates.geometry(batch, self._where)

    def partitions(self, wanted: int) -> tuple[Partition, ...]:
        """The whole layer in one."""
        return whole(self.feature_count)

    def batches(self, findings: Findings, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Attributes and WKB."""
        types = {f.name: f.type for f in self.attributes}
        for batch in self._rows(types, findings):
            columns = [_nulled(batch.column(f.name)) for f in self.attributes]
            columns.append(coordinates.geometry(batch, self._where))
            yield pa.RecordBatch.from_arrays(columns, names=[*self.attributes.names, GEOMETRY])

    @cached_property
    def _typed(self) -> tuple[pa.Schema, int]:
        names: list[str] = []
        types: list[pa.DataType | None] = []
        rows = 0
        for batch in self._rows(None, None):
            names, rows = batch.schema.names, rows + batch.num_rows
            types = types or [None] * len(names)
            types = [_narrowed(t, batch.column(i)) for i, t in enumerate(types)]
        return pa.schema([pa.field(n, t or pa.string()) for n, t in zip(names, types, strict=True)]), rows

    def _rows(self, types: dict[str, pa.DataType] | None, findings: Findings | None) -> Iterator[pa.RecordBatch]:
        def skip(row: pa_csv.InvalidRow) -> str:
            if findings is not None:
                sample = f"; the first has {row.actual_columns} of {row.expected_columns}: {row.text[:80]!r}"
                known = findings.count(FindingCode.BAD_ROW)
                message = None if known else f"Lines with the wrong number of cells were left out{sample}."
                findings.add(FindingCode.BAD_ROW, 1, message=message)
            return "skip"

        names, encoding = header(self._path, self._dialect, self._shown), self._dialect.encoding
        convert = pa_csv.ConvertOptions(
            column_types=types or dict.fromkeys(names, pa.string()), null_values=_NULLS, strings_can_be_null=False
        )
        with (
            _reading(self._shown),
            pa_csv.open_csv(
                self._path,
                read_options=pa_csv.ReadOptions(
                    block_size=_BLOCK,
                    encoding=_ARROW_NAMES.get(encoding, encoding),
                    column_names=names,
                    skip_rows_after_names=1,
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._dialect.delimiter, newlines_in_values=True, invalid_row_handler=skip
                ),
                convert_options=convert,
            ) as stream,
        ):
            yield from stream


def dialect_of(path: Path, shown: str) -> Delimited:
    """Delimiter and encoding, from the first lines."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    if not head.strip():
        raise NoFeatures(f"{shown} is empty.")
    encoding = _encoding(path, head)
    if b"\x00" in head and not encoding.startswith("utf-16"):
        raise UnreadableSource(f"{shown} is not a text table: it has NUL bytes.", hint="Check the file's extension.")
    line = head.decode(encoding, errors="replace").splitlines()[0]
    counts = {d: line.count(d) for d in _DELIMITERS}
    return Delimited(delimiter=max(counts, key=lambda d: counts[d]), encoding=encoding)


def _encoding(path: Path, head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    with path.open("rb") as file:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def header(path: Path, dialect: Delimited, shown: str) -> list[str]:
    """The column names, made distinct; empty ones get a number. Raises UnreadableSource."""
    try:
        with path.open(encoding=dialect.encoding, newline="") as file:
            cells = next(csv.reader(file, delimiter=dialect.delimiter), [])
    except (UnicodeDecodeError, csv.Error) as e:
        raise UnreadableSource(f"{shown} has no readable header line: {e}.") from e
    names: list[str] = []
    for position, cell in enumerate(cells):
        name = cell.strip() or f"column_{position + 1}"
        number = 1
        while name in names:
            number += 1
            name = f"{cell.strip() or f'column_{position + 1}'}_{number}"
        names.append(name)
    return names


def _narrowed(current: pa.DataType | None, column: pa.Array) -> pa.DataType | None:
    """The type that still fits after another block; None while only nulls were seen."""
    if current == pa.string():
        return current
    present = column.filter(pc.invert(pc.is_in(column, value_set=pa.array(_NULLS))))
    if len(present) == 0:
        return current
    choices = _FIRST_CHOICES if current is None else (current, *_LATER[current])
    if pc.any(pc.match_substring_regex(present, _ZERO_LED)).as_py():
        return pa.string()
    return next((t for t in choices if _fits(present, t)), pa.string())


def _fits(column: pa.Array, target: pa.DataType) -> bool:
    try:
        column.cast(target)
    except pa.ArrowInvalid:
        return False
    return True


def _nulled(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return column
    empty = pc.equal(column, "")
    return pc.if_else(empty, pa.scalar(None, pa.string()), column) if pc.any(empty).as_py() else column


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as e:
        raise UnreadableSource(f"{shown} cannot be read as a text table: {e}.", hint="Save it as UTF-8 CSV.") from e
