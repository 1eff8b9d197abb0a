"""Which geometry column holds which types of geometry, and which tables does a layer of several kinds become?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from core.contracts.vector import TablePlan


class Kind(IntEnum):
    """Geometries that share a table: single and Multi are alike."""

    POINT = 1
    LINE = 2
    POLYGON = 3
    COLLECTION = 7


_KINDS = {1: 1, 2: 2, 3: 3, 4: 1, 5: 2, 6: 3, 7: 7}
_SUFFIXES = {Kind.POINT: "_points", Kind.LINE: "_lines", Kind.POLYGON: "_polygons", Kind.COLLECTION: "_collections"}


@dataclass(frozen=True)
class Family:
    """The type of a geometry column: a name of PostGIS without dimensions, and which it has."""

    name: str
    has_z: bool = False
    has_m: bool = False

    @property
    def column_type(self) -> str:
        """As PostGIS spells it, such as MultiPolygonZ."""
        return self.name + ("Z" if self.has_z else "") + ("M" if self.has_m else "")


def family_of(column_type: str) -> Family:
    """The family that spells itself so."""
    base = column_type.removesuffix("M")
    name = base.removesuffix("Z")
    return Family(name, base != name, base != column_type)


def kind_of(code: int) -> Kind | None:
    """The kind of a WKB base type; None for a type that is none of ours."""
    found = _KINDS.get(code)
    return None if found is None else Kind(found)


def suffix_of(kind: Kind) -> str:
    """What a table of one kind out of several is called beside the layer's name."""
    return _SUFFIXES[kind]


def table_type(kind: Kind, codes: Iterable[int]) -> str:
    """Points stay points unless there are multipoints; lines and polygons are always Multi."""
    match kind:
        case Kind.POINT:
            return "MultiPoint" if 4 in codes else "Point"
        case Kind.LINE:
            return "MultiLineString"
        case Kind.POLYGON:
            return "MultiPolygon"
        case Kind.COLLECTION:
            return "GeometryCollection"


def types_of(kind: Kind) -> tuple[int, ...]:
    """The WKB base types of a kind."""
    return tuple(code for code, found in _KINDS.items() if found == kind)


def positions(codes: np.ndarray, tables: Sequence[TablePlan]) -> np.ndarray:
    """For each base type the position of the table that takes it; 0 when none does."""
    of_code = np.zeros(256, np.int64)
    for position, table in enumerate(tables):
        of_code[list(table.takes)] = position
    found: np.ndarray = of_code[np.minimum(codes, 255)]
    return found
