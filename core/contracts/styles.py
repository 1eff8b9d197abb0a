"""How a feature table is drawn: rules with selectors and symbolizers, after OGC's CartoSym-JSON (18-067).

Sizes and widths are in pixels, colours `#rrggbb`, opacities 0 to 1. A selector is CQL2-JSON over the table's columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from core.contracts.tasks import Contract

Colour = Annotated[str, StringConstraints(pattern="^#[0-9a-fA-F]{6}$", to_lower=True)]
Opacity = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[float, Field(gt=0, le=200)]

_MAX_DEPTH = 8
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_LOGIC = frozenset({"and", "or", "not"})

Node = JsonValue


def _selector(value: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    _check(dict(value), 1)
    return value


def _check(node: Node, depth: int) -> None:
    if not isinstance(node, dict) or set(node) != {"op", "args"} or not isinstance(node["args"], list):
        raise ValueError('a selector has the form {"op": ..., "args": [...]}')
    if depth > _MAX_DEPTH:
        raise ValueError("a selector is nested too deeply")
    op, args = node["op"], node["args"]
    if op not in _LOGIC:
        _check_comparison(op, args)
        return
    if not args or (op == "not" and len(args) != 1):
        raise ValueError(f"{op} has the wrong number of arguments")
    for part in args:
        _check(part, depth + 1)


def _check_comparison(op: Node, args: Sequence[Node]) -> None:
    if not args or not _is_property(args[0]):
        raise ValueError(f'{op} must compare {{"property": ...}} with a value')
    rest = args[1:]
    match op:
        case "isNull":
            fits = not rest
        case "in":
            fits = len(rest) == 1 and isinstance(rest[0], list) and 0 < len(rest[0]) <= 1000 and _plain(*rest[0])
        case "between":
            fits = len(rest) == 2 and _plain(*rest)
        case _ if op in _COMPARISONS:
            fits = len(rest) == 1 and _plain(*rest)
        case _:
            raise ValueError(f"{op!r} is no operator of a selector")
    if not fits:
        raise ValueError(f"the arguments of {op} do not fit")


def _is_property(node: Node) -> bool:
    return isinstance(node, Mapping) and set(node) == {"property"} and isinstance(node["property"], str)


def _plain(*values: Node) -> bool:
    return all(isinstance(value, (str, int, float, bool)) for value in values)


Selector = Annotated[Mapping[str, JsonValue], AfterValidator(_selector)]


class Fill(Contract):
    """The inside of polygons."""

    color: Colour
    opacity: Opacity = 1


class Stroke(Contract):
    """Lines, and the edges of polygons and dots."""

    color: Colour
    width: Pixels = 1
    opacity: Opacity = 1


class Dot(Contract):
    """A point. `size` is the diameter."""

    type: Literal["Dot"] = "Dot"
    size: Pixels = 8
    color: Colour
    opacity: Opacity = 1
    stroke: Stroke | None = None


class Symbolizer(Contract):
    """How the selected features look; what does not fit a geometry is not drawn."""

    fill: Fill | None = None
    stroke: Stroke | None = None
    marker: Dot | None = None

    @model_validator(mode="after")
    def _draws(self) -> Symbolizer:
        if self.fill is None and self.stroke is None and self.marker is None:
            raise ValueError("give fill, stroke or marker")
        return self


class StylingRule(Contract):
    """Features that look alike. Without a selector, all."""

    name: str = Field(min_length=1, max_length=255)
    selector: Selector | None = None
    symbolizer: Symbolizer


class StyleSpec(Contract):
    """A style as it is stored. Later rules are drawn above earlier ones."""

    stylingRules: tuple[StylingRule, ...] = Field(min_length=1, max_length=200)  # noqa: N815 - CartoSym's spelling

    def properties(self) -> frozenset[str]:
        """The columns that its selectors name."""
        return frozenset(n for rule in self.stylingRules if rule.selector for n in _named(rule.selector))


def _named(node: Node | Mapping[str, Node]) -> Iterator[str]:
    if isinstance(node, Mapping):
        if _is_property(cast("Node", node)):
            yield str(node["property"])
        for part in node.values():
            yield from _named(part)
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for part in node:
            yield from _named(part)


class StyleWrite(Contract):
    """What a style is replaced with."""

    title: str | None = Field(None, max_length=255)
    description: str | None = Field(None, max_length=4000)
    style: StyleSpec
    is_default: bool = False
