"""Numbers as JSON can carry them: not-a-number and infinities are words."""

from __future__ import annotations

import math

from core.contracts.raster import JsonNumber


def to_json(value: float | None) -> JsonNumber | None:
    """The word for a number JSON has none for; None stays None."""
    if value is None:
        return None
    number = float(value)
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return number


def from_json(value: JsonNumber | None) -> float | None:
    """The inverse of `to_json`."""
    return None if value is None else float(value)
