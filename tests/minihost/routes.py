"""HTTP routing as the Functions host does it: the first match in order of function names wins, not the closest.

Templates may hold literals, `{name}` and a final `{*name}`; this app needs no constraints or defaults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from .app import App, Function

_RESERVED = ("admin", "runtime")


@dataclass(frozen=True)
class Route:
    function: Function
    methods: frozenset[str]
    pattern: re.Pattern[str]

    def match(self, path: str) -> dict[str, str] | None:
        found = self.pattern.fullmatch(path.rstrip("/") or "/")
        return {k: unquote(v) for k, v in found.groupdict().items() if v} if found else None


def _compile(template: str) -> re.Pattern[str]:
    pattern = ""
    for segment in filter(None, template.split("/")):
        if segment.startswith("{*"):
            pattern += f"(?:/(?P<{segment[2:-1]}>.*))?"
        elif segment.startswith("{"):
            pattern += f"/(?P<{segment[1:-1]}>[^/]+)"
        else:
            pattern += "/" + re.escape(segment)
    return re.compile(pattern + "/?", re.IGNORECASE)


def build(app: App) -> list[Route]:
    """The routes of the HTTP functions in the host's order; reserved ones become problems."""
    routes = []
    for fn in app.functions:
        if fn.kind != "httptrigger":
            continue
        own = (fn.trigger.get("route") or fn.name).strip("/")
        if own.lower().startswith(_RESERVED):
            app.problem(fn.name, f"route {own!r} conflicts with the host's own /admin and /runtime")
        methods = frozenset(m.upper() for m in fn.trigger.get("methods") or ())
        routes.append(Route(fn, methods, _compile(f"{app.route_prefix}/{own}")))
    return routes


def find(routes: list[Route], path: str, method: str) -> tuple[Route, dict[str, str]] | None:
    for route in routes:
        params = route.match(path)
        if params is not None and (not route.methods or method in route.methods):
            return route, params
    return None
