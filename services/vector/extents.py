"""How far do geometries reach together?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from services.vector.reference_systems import Bounds


def of_boxes(boxes: np.ndarray) -> Bounds | None:
    """Around rows of minx, miny, maxx, maxy; None around none. Those of empty geometries, not numbers, do not count."""
    boxes = boxes[~np.isnan(boxes[:, 0])]
    if not len(boxes):
        return None
    return (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())


def of_points(x: np.ndarray, y: np.ndarray) -> Bounds | None:
    """Around points; None around none."""
    return (float(x.min()), float(y.min()), float(x.max()), float(y.max())) if len(x) else None


def together(parts: Iterable[Bounds | None]) -> Bounds | None:
    """Around all of them."""
    return of_boxes(np.array([part for part in parts if part is not None]).reshape(-1, 4))
