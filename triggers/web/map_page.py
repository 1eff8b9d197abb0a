"""A map of one dataset, with nothing from elsewhere. The page itself shows nothing: it asks, as its visitor."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse

from triggers.web import docs

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def map_page(request: Request, kind: str, *path: str) -> HTMLResponse:
    """The map of a `raster` or a `table`, whose address below the mount has these parts."""
    source = escape("/".join([str(request.scope["app_root_path"]), *(quote(part, safe="") for part in path)]))
    files = escape(docs.static_url(request.scope))
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Geomachine {escape(path[-1])}</title>",
        f'<link rel="icon" type="image/png" href="{files}/swagger/favicon-32x32.png">',
        f'<link rel="stylesheet" href="{files}/map/map.css"></head><body>',
        '<header><span id="note" role="status">…</span>',
        '<form id="key"><input name="key" type="password" autocomplete="off" aria-label="API key"',
        'placeholder="API key"><button>Use key</button></form></header>',
        f'<div id="map" data-kind="{kind}" data-source="{source}"><canvas aria-label="Map"></canvas>',
        '<nav><button id="nearer" aria-label="Zoom in">+</button>',
        '<button id="farther" aria-label="Zoom out">&minus;</button></nav></div>',
        f'<script src="{files}/map/map.js" defer></script></body></html>',
    ]
    return HTMLResponse("\n".join(lines), headers={**docs.HEADERS, "content-security-policy": _POLICY})
