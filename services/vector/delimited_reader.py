"""Text tables: comma, semicolon, tab or bar between cells, with coordinates or WKT in them.

A column gets a type only when every one of its values, in the whole file, can be written back the same: codes
with leading zeros and numbers of twenty digits stay text.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from core.contracts.tables import SqlType
from core.contracts.vector import Delimited, Partition
from core.contracts.vector_findings import FindingCode
from core.errors import NoFeatures, UnreadableSource
from services.vector import coordinates, delimited_types
from services.vector.delimited_spans import Span, cuts
from services.vector.findings import Findings
from services.vector.readers import GEOMETRY, Survey, TableReader, runs, surveyed, surveyed_points

_BLOCK, _MAX_BLOCK = 1 << 20, 256 << 20
_DELIMITERS = ",;\t|"
#: Arrow reads UTF-8 itself, with or without a byte order mark; other encodings go through Python.
_ARROW_NAMES = {"utf-8-sig": "utf8"}
_SPAN = 16 << 20  #: about the smallest part
_COLUMNS_AT_ONCE = 2  #: whose types are looked for, beside the thread that reads


@dataclass(frozen=True)
class DelimitedScan:
    """What a pass over the file found. `starts` are the spans' first bytes and row numbers, from 0."""

    types: pa.Schema
    rows: int
    survey: Survey
    starts: tuple[tuple[int, int], ...]


class DelimitedReader(TableReader):
    """A text table as features. `types` are those of its columns where an earlier pass found them."""

    def __init__(
        self,
        path: Path,
        dialect: Delimited,
        where: coordinates.CoordinateColumns,
        shown: str,
        types: Mapping[str, SqlType] | None = None,
    ) -> None:
        super().__init__(where)
        self._path, self._stated, self._shown = path, dialect, shown
        self._names = header(path, dialect, shown)
        self._known = types or None

    @cached_property
    def attributes(self) -> pa.Schema:
        """Every column but the WKT one, typed by all of its values."""
        if self._known is not None:
            return pa.schema([(name, delimited_types.ARROW[kind]) for name, kind in self._known.items()])
        return pa.schema([f for f in self._scan.types if f.name != self._where.wkt])

    @cached_property
    def dialect(self) -> Delimited:
        """What another reader needs to know: also how long the rows are."""
        if self._known is not None or self._cuts is None:
            return self._stated
        longest = max(stop - start for start, stop in pairwise(self._cuts))
        return self._stated.model_copy(update={"block": min(max(longest, _BLOCK), _MAX_BLOCK)})

    @property
    def types(self) -> dict[str, SqlType]:
        """What another reader needs to read the same without the pass."""
        return delimited_types.named(self.attributes)

    @property
    def feature_count(self) -> int:
        """Rows that have as many cells as the header."""
        return self._scan.rows

    @property
    def survey(self) -> Survey:
        """Made with the pass that finds the types."""
        return self._scan.survey

    def partitions(self, wanted: int) -> tuple[Partition, ...]:
        """Runs of spans."""
        return runs(self._scan.starts, (self._path.stat().st_size, self._scan.rows), wanted)

    def geometries(self, _: Findings) -> Iterator[pa.Array]:
        """The geometries alone."""
        for batch in self._rows(dict.fromkeys(self._located, pa.string()), None):
            yield coordinates.geometry(batch, self._where)

    def batches(self, findings: Findings, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Attributes and WKB."""
        types = {f.name: f.type for f in self.attributes}
        wanted = types if self._where.wkt is None else {**types, self._where.wkt: pa.string()}
        for batch in self._rows(wanted, findings, None if part is None else (part.start, part.stop)):
            columns = [_nulled(batch.column(name)) for name in types]
            columns.append(coordinates.geometry(batch, self._where))
            yield pa.RecordBatch.from_arrays(columns, names=[*types, GEOMETRY])

    @property
    def _located(self) -> list[str]:
        return [n for n in (self._where.lat, self._where.lon, self._where.wkt) if n is not None]

    @cached_property
    def _scan(self) -> DelimitedScan:
        types: list[pa.DataType | None] = [None] * len(self._names)
        rows, starts, survey = 0, [], Survey()
        texts = dict.fromkeys(self._names, pa.string())
        with ThreadPoolExecutor(_COLUMNS_AT_ONCE) as pool:
            for span in self._spans():
                starts.append((span[0], rows))
                for batch in self._rows(texts, None, span, ahead=True):
                    rows += batch.num_rows
                    narrowed = pool.map(delimited_types.narrowed, types, batch.columns)
                    self._survey(batch, survey)
                    types = list(narrowed)
        schema = pa.schema([(n, t or pa.string()) for n, t in zip(self._names, types, strict=True)])
        return DelimitedScan(schema, rows, survey, tuple(starts))

    def _survey(self, texts: pa.RecordBatch, survey: Survey) -> None:
        # Whole columns of numbers are read at once; what holds anything else is looked at cell by cell.
        columns = [delimited_types.numbers(texts.column(name)) for name in self._located]
        located = pa.RecordBatch.from_arrays(columns, names=self._located)
        if self._where.wkt is None:
            surveyed_points(*coordinates.positions(located, self._where), survey)
        else:
            surveyed(coordinates.geometry(located, self._where), survey, measure=True)

    @cached_property
    def _cuts(self) -> list[int] | None:
        """Ends of rows, about a block apart, between the ends of the file; no row is longer than the longest gap."""
        if self._stated.encoding == "utf-16":
            return None  # a line end is two bytes there, and neither is one alone
        size = self._path.stat().st_size
        return [0, *(cut for cut in cuts(self._path, _BLOCK) if cut < size), size]

    def _spans(self) -> list[tuple[int, int]]:
        if self._cuts is None:
            return [(0, self._path.stat().st_size)]
        edges = [0]
        for cut in self._cuts[1:-1]:
            if cut - edges[-1] >= _SPAN:
                edges.append(cut)
        return list(pairwise([*edges, self._cuts[-1]]))

    def _rows(
        self,
        types: Mapping[str, pa.DataType],
        findings: Findings | None,
        span: tuple[int, int] | None = None,
        *,
        ahead: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        start, stop = span or (0, self._path.stat().st_size)
        encoding = self.dialect.encoding
        reading = pa_csv.ReadOptions(
            block_size=self.dialect.block,
            encoding=_ARROW_NAMES.get(encoding, encoding),
            column_names=self._names,
            skip_rows_after_names=1 if start == 0 else 0,
            use_threads=ahead,
        )
        parsing = pa_csv.ParseOptions(
            delimiter=self.dialect.delimiter, newlines_in_values=True, invalid_row_handler=_skipping(findings)
        )
        converting = pa_csv.ConvertOptions(
            column_types=types,
            include_columns=[n for n in self._names if n in types],
            null_values=list(delimited_types.NULLS),
            strings_can_be_null=False,
        )
        options = {"read_options": reading, "parse_options": parsing, "convert_options": converting}
        with _reading(self._shown), Span(self._path, start, stop) as file, pa_csv.open_csv(file, **options) as stream:
            yield from stream


def _skipping(findings: Findings | None) -> Callable[[pa_csv.InvalidRow], str]:
    def skip(row: pa_csv.InvalidRow) -> str:
        if findings is not None:
            known = findings.count(FindingCode.BAD_ROW)
            sample = f"One has {row.actual_columns} of {row.expected_columns}: {row.text[:80]!r}."
            findings.add(FindingCode.BAD_ROW, 1, detail=None if known else sample)
        return "skip"

    return skip


def dialect_of(path: Path, shown: str) -> Delimited:
    """Delimiter and encoding, from the first lines."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    if not head.strip():
        raise NoFeatures(f"{shown} is empty.")
    encoding = _encoding(path, head)
    if b"\x00" in head and not encoding.startswith("utf-16"):
        line_number = head.count(b"\n", 0, head.index(b"\x00")) + 1
        raise UnreadableSource(
            f"{shown} is not a text table: it has NUL bytes, first in line {line_number}.",
            hint="Check the file's extension, or remove them.",
        )
    line = head.decode(encoding, errors="replace").splitlines()[0]
    counts = {d: line.count(d) for d in _DELIMITERS}
    return Delimited(delimiter=max(counts, key=lambda d: counts[d]), encoding=encoding)


def _encoding(path: Path, head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    with path.open("rb") as file:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := file.read(1 << 18):  # of more, the memory would be fetched anew each time
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
