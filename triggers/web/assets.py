"""Downloads of the files behind STAC assets, for those who may see an item that has them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from fastapi import FastAPI, HTTPException, Request
from starlette.responses import Response, StreamingResponse

from core.contracts.storage import BlobName, StoredBlob
from core.errors import InvalidRequest, SourceNotFound, StorageUnavailable
from infrastructure.postgres.queries import Queries
from triggers.web.edge import Edge, view_of
from triggers.web.mounts import Mount, MountSettings
from triggers.web.pools import pool_in_state, probe
from triggers.web.problems import install

_SQL = Queries("serving")
_ZONES = frozenset({"silver", "silverext", "gold"})
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_MEDIA_TYPES = {
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".zip": "application/zip",
    ".csv": "text/csv; charset=utf-8",
}


def mount(settings: MountSettings) -> Mount:
    """`GET {prefix}/assets/{container}/{path}`, for blobs of the silver and gold zones."""
    app = FastAPI(title="Geomachine assets", openapi_url="/api", docs_url="/api.html", redoc_url=None)

    @app.api_route("/{container}/{path:path}", methods=["GET", "HEAD"], operation_id="downloadAsset")
    async def download(container: str, path: str, request: Request) -> Response:
        name = _blob_name(container, path)
        if not await _is_visible(request, name, settings):
            raise _missing(name)
        try:
            blob = await asyncio.to_thread(settings.storage.head, name)
        except SourceNotFound as e:
            raise _missing(name) from e
        except StorageUnavailable as e:
            raise HTTPException(503, "The object store does not answer; try again in a moment.") from e
        return _answer(request, blob, settings)

    install(app)

    def lifespan():  # type: ignore[no-untyped-def]
        return pool_in_state(app, "pool", settings, "geomachine-assets")

    return Mount(f"{settings.prefix}/assets", Edge(app, settings), lifespan, probe(app, "pool"))


def _blob_name(container: str, path: str) -> BlobName:
    try:
        name = BlobName(container, path)
    except InvalidRequest as e:
        raise HTTPException(404, f"Asset {container}/{path} does not exist.") from e
    if name.zone not in _ZONES:
        raise _missing(name)
    return name


def _missing(name: BlobName) -> HTTPException:
    return HTTPException(404, f"Asset {name} does not exist.")


async def _is_visible(request: Request, name: BlobName, settings: MountSettings) -> bool:
    view = view_of(request)
    if view.whole:
        return True
    async with request.app.state.pool.acquire() as connection:
        if await connection.fetchval(_SQL["blob_of_visible_cog"], name.container, name.path, *view.parameters):
            return True
        href = settings.storage.href(name)
        for query in ("blob_of_visible_asset", "blob_of_visible_collection"):
            if await connection.fetchval(_SQL[query], href, *view.parameters):
                return True
        return False


def _answer(request: Request, blob: StoredBlob, settings: MountSettings) -> Response:
    etag = f'"{blob.etag.strip(chr(34))}"'
    headers = {
        "etag": etag,
        "accept-ranges": "bytes",
        "last-modified": blob.last_modified.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "content-type": _MEDIA_TYPES.get(blob.name.suffix, "application/octet-stream"),
        # A browser must never run what somebody uploaded as a page of this site.
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    if etag in _tags(request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    wanted = _wanted(request.headers, etag, blob.size)
    if wanted is None:
        return Response(status_code=416, headers={"content-range": f"bytes */{blob.size}"})
    start, end = wanted
    headers["content-length"] = str(end - start)
    status = 200
    if (start, end) != (0, blob.size):
        status, headers["content-range"] = 206, f"bytes {start}-{end - 1}/{blob.size}"
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(
        settings.storage.stream(blob.name, start=start, end=end), status_code=status, headers=headers
    )


def _tags(header: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]


def _wanted(headers: Mapping[str, str], etag: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; the whole where no single range is asked for, None if impossible."""
    match = _RANGE.fullmatch(headers.get("range", "").strip())
    condition = headers.get("if-range")
    if match is None or match.groups() == ("", "") or (condition is not None and condition != etag):
        return (0, size)
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None
