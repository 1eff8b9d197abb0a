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
from services.vector import geojson_values
from services.vector.findings import Findings
from services.vector.geojson_blocks import Block, NotPlain, blocks
from services.vector.geojson_geometry import wkb
from services.vector.geojson_values import Kind
from services.vector.readers import GEOMETRY, Survey, runs, surveyed
from services.vector.reference_systems import StatedCrs

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
        for block in blocks(self._path, by_line=self._by_line):
            yield pa.array([geometry for _, geometry in _features(block)], pa.binary())

    def batches(self, _: Findings, part: Partition | None = None) -> Iterator[pa.RecordBatch]:
        """Properties and WKB."""
        span = {} if part is None else {"start": part.start, "stop": part.stop}
        names = list(self._kinds)
        for block in blocks(self._path, by_line=self._by_line, **span):
            columns, geometry = _columns(block, names)
            arrays = [geojson_values.array(columns[name], kind) for name, kind in self._kinds.items()]
            yield pa.RecordBatch.from_arrays([*arrays, pa.array(geometry, pa.binary())], names=[*names, GEOMETRY])


def scanned(path: Path, *, by_line: bool) -> GeoJsonReader:
    """The reader of a plain file. Raises NotPlain."""
    kinds: dict[str, Kind] = {}
    survey, starts, features, end = Survey(), [], 0, 0
    for block in blocks(path, by_line=by_line):
        starts.append((block.start, features))
        columns, geometry = _columns(block, kinds)
        for name, values in columns.items():
            kinds[name] = geojson_values.merged(kinds.get(name, Kind.NOTHING), geojson_values.kind_of(values))
        surveyed(pa.array(geometry, pa.binary()), survey, measure=False)
        features, end = features + len(geometry), block.stop
    if Kind.ODD in kinds.values():
        raise NotPlain("a property may hold dates in a spelling of their own")
    found = GeoJsonScan(kinds, features, survey, tuple(starts), end)
    return GeoJsonReader(path, by_line=by_line, kinds=kinds, found=found)


def reopened(path: Path, *, by_line: bool, types: Mapping[str, SqlType]) -> GeoJsonReader:
    """The reader of a file that was scanned when its table was planned."""
    return GeoJsonReader(path, by_line=by_line, kinds={name: Kind(kind) for name, kind in types.items()}, found=None)


def _columns(
    block: Block, known: Sequence[str] | Mapping[str, Kind]
) -> tuple[dict[str, list[JsonValue]], list[bytes | None]]:
    names, rows, geometry = list(known), [], []
    order = {name: position for position, name in enumerate(names)}
    for properties, shape in _features(block):
        rows.append(properties)
        geometry.append(shape)
        if properties.keys() != order.keys() or list(properties) != names:
            _learn(properties, names, order)
    return {name: [row.get(name) for row in rows] for name in names}, geometry


def _learn(properties: Mapping[str, JsonValue], names: list[str], order: dict[str, int]) -> None:
    """Put new properties behind the known. GDAL sorts them in when they come between others, or in another order."""
    last = -1
    for name in properties:
        position = order.setdefault(name, len(names))
        if position == len(names):
            names.append(name)
        if position < last:
            raise NotPlain("properties change their order")
        last = position


def _features(block: Block) -> Iterator[tuple[dict[str, JsonValue], bytes | None]]:
    parser = simdjson.Parser()
    try:
        features = parser.parse(block.text)
    except (ValueError, RuntimeError, UnicodeDecodeError) as e:
        raise NotPlain(f"bytes {block.start} to {block.stop} are not whole features") from e
    if not isinstance(features, simdjson.Array):
        raise NotPlain("the features are no list")
    for feature in features:
        if not isinstance(feature, simdjson.Object):
            raise NotPlain("an entry is no object")
        try:
            yield _feature(feature)
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise NotPlain("an entry is not a plain feature") from e


def _feature(feature: simdjson.Object) -> tuple[dict[str, JsonValue], bytes | None]:
    members = set(feature.keys())
    if not members <= _MEMBERS or feature["type"] != "Feature":
        raise NotPlain("a feature has members of its own")
    if "id" in members and type(feature["id"]) is not int:
        raise NotPlain("features have names as ids")
    return _properties(feature["properties"]), _geometry(feature["geometry"])


def _properties(value: object) -> dict[str, JsonValue]:
    if value is None:
        return {}
    if not isinstance(value, simdjson.Object):
        raise NotPlain("properties are no object")
    return value.as_dict()


def _geometry(value: object) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, simdjson.Object):
        raise NotPlain("a geometry is no object")
    return wkb(value)  # type: ignore[arg-type]  # the stub's union is wider than what is asked for
