"""Workbooks (XLSX): every sheet is a layer, its first row names the columns, and two of them hold coordinates."""

from __future__ import annotations

import html
import re
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyogrio

from core.contracts.vector import Partition
from core.contracts.vector_findings import FindingCode
from core.errors import ColumnsMissing
from services.vector import coordinates
from services.vector.findings import Findings
from services.vector.gdal_reader import reading
from services.vector.readers import GEOMETRY, TableReader, whole

_ROWS = 16_384
_BLOCK = 1 << 20
_FORMULA = re.compile(rb"<f[ >/]")
#: A cell with a formula and without the value it had when the workbook was last calculated.
_NO_VALUE = re.compile(rb'<c r="[A-Z]+(\d+)"[^>]*><f(?:[^>]*/>|[^>]*>[^<]*</f>)(?:<v/>|<v></v>)?</c>')
_SHEET = re.compile(r"<sheet\b[^>]*>")
_RELATION = re.compile(r"<Relationship\b[^>]*>")

# Without this a sheet of texts alone loses its first row, or gets one of names that are none.
pyogrio.set_gdal_config_options({"OGR_XLSX_HEADERS": "FORCE", "OGR_XLSX_FIELD_TYPES": "AUTO"})


class WorkbookReader(TableReader):
    """One sheet as features."""

    def __init__(self, path: Path, sheet: str, where: coordinates.CoordinateColumns, shown: str) -> None:
        super().__init__(where)
        self._path, self._sheet, self._shown = path, sheet, shown

    @cached_property
    def _table(self) -> tuple[pa.Schema, int]:
        with reading(self._path, self._shown, []):
            info = pyogrio.read_info(self._path, layer=self._sheet, force_feature_count=True)
            with pyogrio.open_arrow(self._path, layer=self._sheet, use_pyarrow=True) as (_, stream):
                return stream.schema.remove_metadata(), int(info["features"])

    @property
    def attributes(self) -> pa.Schema:
        """Every column but the WKT one."""
        return pa.schema([f for f in self._table[0] if f.name != self._where.wkt])

    @property
    def feature_count(self) -> int:
        """Rows below the header."""
        return self._table[1]

    def partitions(self, _: int) -> tuple[Partition, ...]:
        """The whole sheet in one: the reading library holds it in memory anyway."""
        return whole(self.feature_count)

    def geometries(self, _: Findings) -> Iterator[pa.Array]:
        """The geometries alone."""
        for batch in self._rows():
            yield coordinates.geometry(batch, self._where)

    def batches(self, findings: Findings, _: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Attributes and WKB."""
        _report_formulas(self._path, self._sheet, findings)
        names = self.attributes.names
        for batch in self._rows():
            columns = [batch.column(name) for name in names]
            yield pa.RecordBatch.from_arrays([*columns, coordinates.geometry(batch, self._where)], [*names, GEOMETRY])

    def _rows(self) -> Iterator[pa.RecordBatch]:
        options = {"layer": self._sheet, "batch_size": _ROWS, "use_pyarrow": True}
        with reading(self._path, self._shown, []), pyogrio.open_arrow(self._path, **options) as (_, stream):
            yield from stream


def sheets(path: Path, shown: str) -> list[str]:
    """The names of the sheets."""
    with reading(path, shown, []):
        return [str(name) for name, _ in pyogrio.list_layers(path)]


def coordinate_columns(
    path: Path, sheet: str, wanted: coordinates.CoordinateColumns, shown: str
) -> coordinates.CoordinateColumns:
    """Where a sheet has its coordinates. Raises ColumnsMissing listing the columns it has."""
    shown = f"Sheet {sheet!r} of {shown}"
    with reading(path, shown, []):
        names = [str(n) for n in pyogrio.read_info(path, layer=sheet)["fields"]]
    return coordinates.find(names, wanted.lat, wanted.lon, wanted.wkt, shown)


def with_coordinates(path: Path, wanted: coordinates.CoordinateColumns, shown: str) -> list[str]:
    """The sheets that have coordinates."""
    found = []
    for sheet in sheets(path, shown):
        try:
            coordinate_columns(path, sheet, wanted, shown)
        except ColumnsMissing:
            continue
        found.append(sheet)
    return found


def _report_formulas(path: Path, sheet: str, findings: Findings) -> None:
    with zipfile.ZipFile(path) as archive:
        member = _member(archive, sheet)
        if member is None:
            return
        formulas, without = _formulas(archive, member)
    kept = formulas - len(without)
    message = f"Sheet {sheet!r} has {kept:,} cells with formulas, read as they were last calculated."
    findings.add(FindingCode.FORMULA, kept, detail=message)
    findings.add(
        FindingCode.FORMULA_NOT_CALCULATED,
        len(without),
        [row - 1 for row in without],
        detail=f"Sheet {sheet!r} has {len(without):,} cells with formulas that no program has calculated, read as "
        "empty. Open the workbook, calculate and save it.",
    )


def _member(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """The path of a sheet inside the workbook."""
    try:
        book = archive.read("xl/workbook.xml").decode(errors="replace")
        relations = archive.read("xl/_rels/workbook.xml.rels").decode(errors="replace")
    except KeyError:
        return None
    wanted = next((_attribute(t, "r:id") for t in _SHEET.findall(book) if _attribute(t, "name") == sheet), None)
    targets = {_attribute(t, "Id"): _attribute(t, "Target") for t in _RELATION.findall(relations)}
    target = targets.get(wanted)
    path = None if target is None else target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return path if path in archive.namelist() else None


def _attribute(tag: str, name: str) -> str | None:
    found = re.search(rf'\s{name}="([^"]*)"', tag)
    return None if found is None else html.unescape(found[1])


def _formulas(archive: zipfile.ZipFile, member: str) -> tuple[int, list[int]]:
    """How many cells have formulas, and the rows of those that have no value."""
    formulas, rest = 0, b""
    without: list[int] = []
    with archive.open(member) as file:
        while block := file.read(_BLOCK):
            # Cells are cut nowhere but behind their end.
            head, end, rest = (rest + block).rpartition(b"</c>")
            formulas += len(_FORMULA.findall(head))
            without.extend(int(row) for row in _NO_VALUE.findall(head + end))
    return formulas, without
