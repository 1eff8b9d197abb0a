"""The API's documentation pages, Swagger UI and Redoc, served without anything from elsewhere."""

from __future__ import annotations

from html import escape
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FILES = Path(__file__).parents[2] / "static"

# Both tools write style elements at run time; scripts come from our own files only.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


def swagger_page(openapi: str, *, static: str) -> HTMLResponse:
    """Swagger UI for the OpenAPI document at that address."""
    return _page("API (Swagger UI)", openapi, static, ["swagger/swagger-ui-bundle.js", "docs/swagger.js"])


def redoc_page(openapi: str, *, static: str) -> HTMLResponse:
    """Redoc for the OpenAPI document at that address."""
    return _page("API (Redoc)", openapi, static, ["redoc/redoc.standalone.js", "docs/redoc.js"])


def static_url(scope: Scope) -> str:
    """Where a mounted app finds the static files: beside its own prefix."""
    return str(scope["app_root_path"]).rsplit("/", 1)[0] + "/interface/static"


def _page(title: str, openapi: str, static: str, scripts: list[str]) -> HTMLResponse:
    styles = ["docs/page.css"] + (["swagger/swagger-ui.css"] if scripts[0].startswith("swagger") else [])
    base = escape(static)
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Geomachine {escape(title)}</title>",
        f'<link rel="icon" type="image/png" href="{base}/swagger/favicon-32x32.png">',
        *(f'<link rel="stylesheet" href="{base}/{style}">' for style in styles),
        f'</head><body><div id="docs" data-openapi="{escape(openapi)}"></div>',
        *(f'<script src="{base}/{script}" defer></script>' for script in scripts),
        "</body></html>",
    ]
    return HTMLResponse("\n".join(lines), headers=HEADERS)


def router(*, prefix: str = "/api") -> APIRouter:
    """`{prefix}/interface/swagger`, `/redoc` and the static files, about `{prefix}/openapi.json`."""
    routes = APIRouter(prefix=f"{prefix}/interface", include_in_schema=False)
    files = StaticFiles(directory=_FILES)

    @routes.get("/swagger")
    async def swagger(request: Request) -> Response:
        base = request.scope.get("root_path", "") + prefix
        return swagger_page(f"{base}/openapi.json", static=f"{base}/interface/static")

    @routes.get("/redoc")
    async def redoc(request: Request) -> Response:
        base = request.scope.get("root_path", "") + prefix
        return redoc_page(f"{base}/openapi.json", static=f"{base}/interface/static")

    @routes.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    async def static_file(path: str, request: Request) -> Response:
        return await files.get_response(path, request.scope)

    return routes
