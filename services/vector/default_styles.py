"""How should a new table look? A colour for each of a few values, shades for a number, else one colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from pydantic import JsonValue

from core.contracts.styles import Dot, Fill, Stroke, StyleSpec, StylingRule, Symbolizer
from core.contracts.tables import ColumnValues, FeatureTable, FeatureTables, SqlType
from core.contracts.vector import TablePlan
from core.models.catalog import FeatureCollectionStyle
from services.vector.families import family_of

DEFAULT = "default"
_MAX_VALUES = 12
_CLASSES = 5
_LOOKED_AT = 10  #: columns tried before one colour has to do

#: ColorBrewer "Paired" without its yellow, and five shades of "YlGnBu".
_DISTINCT = (
    *("#1f78b4", "#33a02c", "#e31a1c", "#ff7f00", "#6a3d9a", "#b15928"),
    *("#a6cee3", "#b2df8a", "#fb9a99", "#fdbf6f", "#cab2d6", "#8dd3c7"),
)
_SHADES = ("#a1dab4", "#41b6c4", "#2c7fb8", "#253494", "#081d58")
_OTHER = "#969696"
_EDGE = "#333333"

_NUMBERS = {SqlType.SMALLINT, SqlType.INTEGER, SqlType.BIGINT, SqlType.REAL, SqlType.DOUBLE, SqlType.NUMERIC}
SHOWN = _NUMBERS | {SqlType.TEXT, SqlType.BOOLEAN}  #: what a style can tell apart


def default_style(
    tables: FeatureTables, loaded: FeatureTable, plan: TablePlan, attribute: str | None
) -> FeatureCollectionStyle:
    """The first style of a table. `attribute` is the column to show; one that fits is looked for when it is None.

    It is of a type in `SHOWN`. One colour has to do where it is empty in every row.
    """
    shown = _values(tables, loaded, plan, attribute)
    family = family_of(plan.geometry_type).name
    if shown is None:
        rules = [_rule("All features", None, _DISTINCT[0], family)]
        what = "One colour for all" + (f": {attribute} is empty." if attribute else ".")
    elif shown.quantiles:
        rules, what = _graduated(shown, family), f"Shades by {shown.name}."
    else:
        rules, what = _categorised(shown, family), f"A colour for each {shown.name}."
        if shown.distinct > _MAX_VALUES:
            what = f"A colour for each of the {_MAX_VALUES} most frequent values of {shown.name}."
    return FeatureCollectionStyle(
        collection_id=plan.name,
        style_id=DEFAULT,
        title="Default",
        description=what,
        style_spec=StyleSpec(stylingRules=tuple(rules)).model_dump(mode="json", exclude_none=True),
        is_default=True,
    )


def _values(tables: FeatureTables, loaded: FeatureTable, plan: TablePlan, attribute: str | None) -> ColumnValues | None:
    if attribute is not None:
        found = tables.values(loaded, attribute, _MAX_VALUES, _CLASSES)
        return _classed(found) if found.distinct else None
    # Words first: a column of few words says what features are, a number often only counts them.
    ordered = sorted((c for c in plan.columns if c.sql_type in SHOWN), key=lambda c: c.sql_type in _NUMBERS)
    for column in ordered[:_LOOKED_AT]:
        found = _classed(tables.values(loaded, column.name, _MAX_VALUES, _CLASSES))
        if found.quantiles or 2 <= found.distinct <= _MAX_VALUES:
            return found
    return None


def _classed(found: ColumnValues) -> ColumnValues:
    """Without quantiles that make no classes: then the most frequent values are shown, and all others as one."""
    return found if len(found.quantiles) > 2 else replace(found, quantiles=())


def _categorised(shown: ColumnValues, family: str) -> list[StylingRule]:
    rules = [_rule("Other", None, _OTHER, family)]
    for value, colour in zip(sorted(shown.values, key=str), _DISTINCT, strict=False):
        selector: dict[str, JsonValue] = {"op": "=", "args": [{"property": shown.name}, value]}
        rules.append(_rule(str(value)[:255] or "(empty)", selector, colour, family))
    return rules


def _graduated(shown: ColumnValues, family: str) -> list[StylingRule]:
    rules = [_rule("No value", None, _OTHER, family)]
    column: JsonValue = {"property": shown.name}
    classes = list(pairwise(shown.quantiles))
    for number, ((low, high), colour) in enumerate(zip(classes, _shades(len(classes)), strict=True), 1):
        parts: list[JsonValue] = []
        if number > 1:
            parts.append({"op": ">=", "args": [column, low]})
        if number < len(classes):
            parts.append({"op": "<", "args": [column, high]})
        if not parts:
            parts = [{"op": ">=", "args": [column, low]}]
        selector: dict[str, JsonValue] = {"op": "and", "args": parts}
        rules.append(_rule(f"{low:g} to {high:g}", selector, colour, family))
    return rules


def _shades(count: int) -> Sequence[str]:
    return _SHADES[-count:] if count < len(_SHADES) else _SHADES


def _rule(name: str, selector: dict[str, JsonValue] | None, colour: str, family: str) -> StylingRule:
    edge = Stroke(color=_EDGE, width=0.5)
    fill, line, dot = Fill(color=colour, opacity=0.6), Stroke(color=colour, width=2), Dot(color=colour, stroke=edge)
    match family:
        case "Point" | "MultiPoint":
            symbolizer = Symbolizer(marker=dot)
        case "MultiLineString":
            symbolizer = Symbolizer(stroke=line)
        case "MultiPolygon":
            symbolizer = Symbolizer(fill=fill, stroke=edge)
        case _:
            symbolizer = Symbolizer(fill=fill, stroke=line, marker=dot)
    return StylingRule(name=name, selector=selector, symbolizer=symbolizer)
