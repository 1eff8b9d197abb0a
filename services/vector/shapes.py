"""One batch's geometries while they are cleaned: parsed once, changed in place, written where they changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from core.contracts.vector_findings import FindingCode
from services.vector.findings import Findings


@dataclass
class Shapes:
    """Rows of a batch. `changed` differ from the file's bytes, `reshaped` have other vertices; `keep` can be stored."""

    column: pa.Array
    shapes: np.ndarray
    changed: np.ndarray
    reshaped: np.ndarray
    keep: np.ndarray
    ids: np.ndarray
    findings: Findings

    def count(self, code: FindingCode, rows: np.ndarray, values: np.ndarray | None = None) -> None:
        """Report the chosen rows; `values` are what was measured of each of them."""
        self.findings.add(code, int(rows.sum()), self.ids[rows], values=() if values is None else values.tolist())

    def leave_out(self, code: FindingCode, rows: np.ndarray) -> None:
        """Report the chosen rows and store them nowhere."""
        self.keep &= ~rows
        self.count(code, rows)

    def replace(self, rows: np.ndarray, shapes: np.ndarray) -> None:
        """Put shapes of other vertices in the place of the chosen rows' ones."""
        self.shapes[rows] = shapes
        self.changed |= rows
        self.reshaped |= rows

    def kept(self) -> Shapes:
        """The rows that can be stored, alone."""
        if self.keep.all():
            return self
        rows = self.keep
        column = self.column.filter(pa.array(rows))
        return Shapes(
            column,
            self.shapes[rows],
            self.changed[rows],
            self.reshaped[rows],
            rows[rows],
            self.ids[rows],
            self.findings,
        )

    def written(self) -> pa.Array:
        """As WKB. Unchanged shapes keep the file's own bytes: exact, and cheaper than writing them."""
        if not self.changed.any():
            return self.column
        if self.changed.all():
            return pa.array(shapely.to_wkb(self.shapes, flavor="iso", byte_order=1), pa.binary())
        rewritten = shapely.to_wkb(self.shapes[self.changed], flavor="iso", byte_order=1)
        return pc.replace_with_mask(self.column, pa.array(self.changed), pa.array(rewritten, pa.binary()))


def coordinates(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All x, y of the shapes, and the position of the shape that each belongs to."""
    found: tuple[np.ndarray, np.ndarray] = shapely.get_coordinates(shapes, return_index=True)
    return found
