"""What a stored style may be, and what it is for MapLibre."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from core.contracts.styles import StyleSpec
from core.contracts.tables import ColumnValues, FeatureTable, SqlType
from core.contracts.vector import ColumnPlan, TablePlan
from services.vector.default_styles import default_style
from services.vector.maplibre import TileSource, maplibre_style

RED = {"fill": {"color": "#FF0000", "opacity": 0.5}}
SOURCE = TileSource("https://geo.example/{z}/{x}/{y}", (1, 2, 3, 4))


def spec(selector: object = None, symbolizer: object = RED) -> StyleSpec:
    return StyleSpec.model_validate({"stylingRules": [{"name": "r", "selector": selector, "symbolizer": symbolizer}]})


@pytest.mark.parametrize(
    "selector",
    [
        {"op": "drop", "args": [{"property": "a"}, 1]},
        {"op": "=", "args": ["a", 1]},
        {"op": "=", "args": [{"property": "a"}]},
        {"op": "=", "args": [{"property": "a"}, {"property": "b"}]},
        {"op": "not", "args": []},
        {"op": "and", "args": [{"op": "in", "args": [{"property": "a"}, []]}]},
        {"property": "a"},
    ],
)
def test_a_selector_that_means_nothing_is_refused(selector: object) -> None:
    with pytest.raises(ValidationError):
        spec(selector)


@pytest.mark.parametrize(
    "symbolizer", [{}, {"fill": {"color": "red"}}, {"stroke": {"color": "#000000", "width": 0}}, {"a": 1}]
)
def test_a_symbolizer_that_draws_nothing_or_wrongly_is_refused(symbolizer: object) -> None:
    with pytest.raises(ValidationError):
        spec(symbolizer=symbolizer)


def test_a_selector_nested_without_end_is_refused() -> None:
    selector: object = {"op": "isNull", "args": [{"property": "a"}]}
    for _ in range(20):
        selector = {"op": "not", "args": [selector]}
    with pytest.raises(ValidationError, match="deeply"):
        spec(selector)


def test_the_columns_that_selectors_name_are_known() -> None:
    nested = {
        "op": "or",
        "args": [{"op": "=", "args": [{"property": "a"}, 1]}, {"op": "isNull", "args": [{"property": "b"}]}],
    }
    assert spec(nested).properties() == {"a", "b"}


def test_a_rule_becomes_a_layer_for_each_part_that_draws_only_geometries_it_fits() -> None:
    dot = {"color": "#00ff00", "size": 10, "stroke": {"color": "#000000", "width": 2}}
    both = {"fill": RED["fill"], "stroke": {"color": "#0000ff"}, "marker": dot}
    style = maplibre_style("Parks", spec(symbolizer=both), SOURCE)
    assert style["version"] == 8 and style["sources"] == {
        "features": {
            "type": "vector",
            "tiles": ["https://geo.example/{z}/{x}/{y}"],
            "minzoom": 0,
            "maxzoom": 22,
            "bounds": [1, 2, 3, 4],
        }
    }
    assert [(layer["id"], layer["type"], layer["source-layer"]) for layer in style["layers"]] == [
        ("0-fill", "fill", "default"),
        ("0-line", "line", "default"),
        ("0-circle", "circle", "default"),
    ]
    assert style["layers"][0]["paint"] == {"fill-color": "#ff0000", "fill-opacity": 0.5}
    assert style["layers"][2]["paint"]["circle-radius"] == 5
    assert style["layers"][2]["filter"] == ["in", ["geometry-type"], ["literal", ["Point", "MultiPoint"]]]


@pytest.mark.parametrize(
    ("selector", "expression"),
    [
        ({"op": "=", "args": [{"property": "k"}, "x"]}, ["all", ["has", "k"], ["==", ["get", "k"], "x"]]),
        ({"op": "<", "args": [{"property": "n"}, 5]}, ["all", ["has", "n"], ["<", ["to-number", ["get", "n"]], 5]]),
        ({"op": "isNull", "args": [{"property": "k"}]}, ["!", ["has", "k"]]),
        (
            {"op": "in", "args": [{"property": "k"}, ["a", "b"]]},
            ["all", ["has", "k"], ["in", ["get", "k"], ["literal", ["a", "b"]]]],
        ),
        (
            {"op": "not", "args": [{"op": "between", "args": [{"property": "n"}, 1, 2]}]},
            [
                "all",
                ["has", "n"],
                ["!", ["all", [">=", ["to-number", ["get", "n"]], 1], ["<=", ["to-number", ["get", "n"]], 2]]],
            ],
        ),
        (
            {
                "op": "not",
                "args": [
                    {
                        "op": "or",
                        "args": [
                            {"op": "=", "args": [{"property": "k"}, "x"]},
                            {"op": "not", "args": [{"op": "isNull", "args": [{"property": "n"}]}]},
                        ],
                    }
                ],
            },
            ["all", ["all", ["has", "k"], ["!", ["==", ["get", "k"], "x"]]], ["!", ["has", "n"]]],
        ),
    ],
)
def test_a_selector_becomes_an_expression_in_which_absent_values_match_nothing(
    selector: object, expression: object
) -> None:
    (layer,) = maplibre_style("s", spec(selector), SOURCE)["layers"]
    assert layer["filter"] == ["all", ["in", ["geometry-type"], ["literal", ["Polygon", "MultiPolygon"]]], expression]


class Held:
    """Columns with what they hold, in the place of a table."""

    def __init__(self, **columns: ColumnValues) -> None:
        self._columns: Mapping[str, ColumnValues] = columns

    def values(self, table: FeatureTable, column: str, limit: int, classes: int) -> ColumnValues:
        return self._columns[column]


def rules(held: Held, attribute: str | None = None, **kinds: SqlType) -> list[dict]:
    columns = tuple(ColumnPlan(name=n, sql_type=k, source_name=n) for n, k in kinds.items())
    plan = TablePlan(schema_name="geo", name="t", geometry_type="MultiPolygonZ", srid=4326, columns=columns)
    style = default_style(held, plan.staging("t"), plan, attribute)  # type: ignore[arg-type]  # asks for values only
    assert (style.collection_id, style.style_id, style.is_default) == ("t", "default", True)
    return [r.model_dump(exclude_none=True) for r in StyleSpec.model_validate(style.style_spec).stylingRules]


NAMES = ColumnValues("name", 13, tuple(f"n{i}" for i in range(12)), ())
KIND = ColumnValues("kind", 3, ("b", "a", "c"), ())
SIZE = ColumnValues("size", 13, tuple(range(12)), (0.0, 2.0, 4.0, 6.0, 8.0, 10.0))


def test_few_words_get_a_colour_each_and_the_rest_one_in_common() -> None:
    made = rules(Held(name=NAMES, kind=KIND, size=SIZE), name=SqlType.TEXT, size=SqlType.DOUBLE, kind=SqlType.TEXT)
    assert [r["name"] for r in made] == ["Other", "a", "b", "c"]
    assert made[1]["selector"] == {"op": "=", "args": [{"property": "kind"}, "a"]}
    assert len({r["symbolizer"]["fill"]["color"] for r in made}) == 4 and "marker" not in made[0]["symbolizer"]


def test_a_number_of_many_values_gets_shades_that_leave_no_value_out() -> None:
    made = rules(Held(name=NAMES, size=SIZE), name=SqlType.TEXT, size=SqlType.DOUBLE)
    size = {"property": "size"}
    assert [r["name"] for r in made] == ["No value", "0 to 2", "2 to 4", "4 to 6", "6 to 8", "8 to 10"]
    assert made[1]["selector"] == {"op": "and", "args": [{"op": "<", "args": [size, 2.0]}]}
    assert made[2]["selector"]["args"] == [{"op": ">=", "args": [size, 2.0]}, {"op": "<", "args": [size, 4.0]}]
    assert made[5]["selector"] == {"op": "and", "args": [{"op": ">=", "args": [size, 8.0]}]}


def test_the_attribute_that_was_asked_for_is_shown() -> None:
    held = Held(name=NAMES, kind=KIND, size=SIZE)
    made = rules(held, attribute="size", name=SqlType.TEXT, kind=SqlType.TEXT, size=SqlType.DOUBLE)
    assert made[1]["name"] == "0 to 2"


def test_without_a_telling_attribute_all_features_look_alike() -> None:
    assert [r["name"] for r in rules(Held(name=NAMES), name=SqlType.TEXT)] == ["All features"]
