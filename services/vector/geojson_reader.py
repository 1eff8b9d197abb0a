"""Plainly written GeoJSON at ten times GDAL's speed. What is not plain is left to GDAL, with the same result.

A first pass decides both: it parses everything, finds the types of properties and geometry, and where blocks of
features begin, so that parts can be read alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import simdjson
from pydantic import JsonValue

from core.contracts.tables import SqlType
from core.contracts.vector import Partition
from services.vector import geojson_spool, geojson_values
from services.vector.findings import Findings
from services.vector.geojson_blocks import Block, NotPlain, blocks
from services.vector.geojson_geometry import Geometries
from services.vector.geojson_spool import Spool
from services.vector.geojson_values import Kind, Values
from services.vector.readers import GEOMETRY, Survey, runs, surveyed
from services.vector.reference_systems import StatedCrs

Properties = Mapping[str, JsonValue]
_MEMBERS = {"type", "properties", "geometry", "bbox", "id"}


@dataclass(frozen=True)
class GeoJsonScan:
    """What the first pass found. `starts` are the blocks' first bytes and feature numbers, from 0."""

    kinds: Mapping[str, Kind]
    features: int
    survey: Survey
    starts: tuple[tuple[int, int], ...]
    end: int


class GeoJsonReader:
    """A plain file as features, scanned or with columns that were planned from a scan."""

    def __init__(self, path: Path, *, by_line: bool, kinds: Mapping[str, Kind], found: GeoJsonScan | None) -> None:
        self._path, self._by_line, self._kinds, self._scan = path, by_line, kinds, found

    @property
    def attributes(self) -> pa.Schema:
        """The properties, in the order of their first appearance."""
        return pa.schema([(name, geojson_values.ARROW[kind]) for name, kind in self._kinds.items()])

    @property
    def types(self) -> dict[str, SqlType]:
        """What `reopened` needs to read the same."""
        text = {name: Kind.TEXT if kind is Kind.NOTHING else kind for name, kind in self._kinds.items()}
        return {name: SqlType(kind.value) for name, kind in text.items()}

    @property
    def stated_crs(self) -> StatedCrs:
        """RFC 7946 prescribes it."""
        return StatedCrs("EPSG:4326", implied=True)

    @property
    def sure_type(self) -> str | None:
        """The survey says more."""
        return None

    @property
    def survey(self) -> Survey | None:
        """What the scan found."""
        return None if self._scan is None else self._scan.survey

    @property
    def feature_count(self) -> int:
        """How many features, those without geometry included."""
        assert self._scan is not None  # a reader without one is only asked for batches
        return self._scan.features

    def partitions(self, wanted: int) -> tuple[Partition, ...]:
        """Runs of blocks."""
        assert self._scan is not None  # as above
        return runs(self._scan.starts, (self._scan.end, self._scan.features), wanted)

    def geometries(self, _: Findings) -> Iterator[pa.Array]:
        """The geometries alone."""
        parser = simdjson.Parser()
        for block in blocks(self._path, by_line=self._by_line):
            yield _read(parser, block).geometry

    def batches(self, _: Findings, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Properties and WKB."""
        start, stop = (0, None) if part is None else (part.start, part.stop)
        for block in geojson_spool.kept(self._path, start, stop) or self._parsed(start, stop):
            arrays = [geojson_values.loaded(block, name, kind) for name, kind in self._kinds.items()]
            yield pa.RecordBatch.from_arrays([*arrays, block.column(GEOMETRY)], names=[*self._kinds, GEOMETRY])

    def _parsed(self, start: int, stop: int | None) -> Iterator[pa.RecordBatch]:
        parser = simdjson.Parser()
        for block in blocks(self._path, by_line=self._by_line, start=start, stop=stop):
            read = _read(parser, block)
            yield _batch(_columns(read.rows, list(self._kinds)), self._kinds, read.geometry)


def scanned(path: Path, *, by_line: bool, spool: Spool | None = None) -> GeoJsonReader:
    """The reader of a plain file; what is parsed goes into the spool too. Raises NotPlain."""
    kinds: dict[str, Kind] = {}
    survey, starts, features, end, parser = Survey(), [], 0, 0, simdjson.Parser()
    for block in blocks(path, by_line=by_line):
        starts.append((block.start, features))
        read = _read(parser, block)
        columns, geometry = _columns(read.rows, list(kinds)), read.geometry
        for name, values in columns.items():
            kinds[name] = geojson_values.widened(kinds.get(name, Kind.NOTHING), values)
        if read.named and next(iter(kinds)) != "id":
            raise NotPlain("names as ids come late, and GDAL puts them first")
        surveyed(geometry, survey, measure=False)
        features, end = features + len(geometry), block.stop
        if spool is not None:
            spool.keep(block.start, _batch(columns, kinds, geometry))
    if Kind.ODD in kinds.values():
        raise NotPlain("a property may hold dates in a spelling of their own")
    if spool is not None:
        spool.finish()
    found = GeoJsonScan(kinds, features, survey, tuple(starts), end)
    return GeoJsonReader(path, by_line=by_line, kinds=kinds, found=found)


def reopened(path: Path, *, by_line: bool, types: Mapping[str, SqlType]) -> GeoJsonReader:
    """The reader of a file that was scanned when its table was planned."""
    return GeoJsonReader(path, by_line=by_line, kinds={name: Kind(kind) for name, kind in types.items()}, found=None)


def _batch(columns: Mapping[str, Values], kinds: Mapping[str, Kind], geometry: pa.Array) -> pa.RecordBatch:
    """A block before it is known which type each property has in the whole file."""
    arrays = [geojson_values.array(values, kinds[name]) for name, values in columns.items()]
    return pa.RecordBatch.from_arrays([*arrays, geometry], names=[*columns, GEOMETRY])


def _columns(rows: Sequence[Properties], names: list[str]) -> dict[str, Values]:
    order = {name: position for position, name in enumerate(names)}
    for row in rows:
        if list(row) != names:
            _learn(row, names, order)
    return {name: [row.get(name) for row in rows] for name in names}


def _learn(properties: Properties, names: list[str], order: dict[str, int]) -> None:
    """Put new properties behind the known. GDAL sorts them in when they come between others, or in another order."""
    last = -1
    for name in properties:
        position = order.setdefault(name, len(names))
        if position == len(names):
            names.append(name)
        if position < last:
            raise NotPlain("properties change their order")
        last = position


@dataclass(frozen=True)
class _Read:
    """Properties and WKB of a block's features, and whether any has a name as its id."""

    rows: list[Properties]
    geometry: pa.Array
    named: bool


def _read(parser: simdjson.Parser, block: Block) -> _Read:
    """Parse a block. The parser takes the next once nothing of its last is held any more."""
    try:
        features = parser.parse(block.text)
    except (ValueError, RuntimeError, UnicodeDecodeError) as e:
        raise NotPlain(f"bytes {block.start} to {block.stop} are not whole features") from e
    if not isinstance(features, simdjson.Array):
        raise NotPlain("the features are no list")
    rows: list[Properties] = []
    geometries, named = Geometries(), False
    try:
        for feature in features:
            if not isinstance(feature, simdjson.Object):
                raise NotPlain("an entry is no object")
            own = _own_id(feature)
            named = named or type(own) is str
            rows.append(_properties(feature, own))
            geometries.add(feature["geometry"])  # type: ignore[arg-type]  # Geometries looks at it
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise NotPlain("an entry is not a plain feature") from e
    return _Read(rows, geometries.array(), named)


def _properties(feature: simdjson.Object, own: int | str | None) -> Properties:
    """The properties, behind the id of the feature itself if it has one."""
    properties = feature["properties"]
    if properties is None:
        return {} if own is None else {"id": own}
    if not isinstance(properties, simdjson.Object):
        raise NotPlain("properties are no object")
    if own is None:
        return properties.as_dict()
    if "id" in properties:
        raise NotPlain("features have an id beside one among their properties")
    return {"id": own, **properties.as_dict()}


def _own_id(feature: simdjson.Object) -> int | str | None:
    if feature["type"] != "Feature":
        raise NotPlain("an entry is no feature")
    # Three members are the type, the properties and the geometry, since all of these are asked for.
    if len(feature) == 3:
        return None
    members = set(feature.keys())
    if not members <= _MEMBERS:
        raise NotPlain("a feature has members of its own")
    own = feature["id"] if "id" in members else None
    if type(own) is str and not geojson_values.like_a_date(own):
        return own
    if own is not None and type(own) is not int:
        raise NotPlain("an id is neither a whole number nor a plain text")
    return own
