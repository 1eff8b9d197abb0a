"""Reading a static STAC collection out of a container: only files of that container are ever opened."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from typing import cast

import pystac
import stac_pydantic
from pydantic import JsonValue, ValidationError

from core.contracts.catalog import missing_collection
from core.contracts.context import TaskContext
from core.contracts.ingest import (
    MAX_ITEMS,
    IngestCollectionParameters,
    IngestInventory,
    IngestOutcome,
    IngestStatus,
    ItemToCopy,
    Json,
)
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import Conflict, DataError, InvalidRequest, RequestError, UnreadableSource

_LARGEST_DOCUMENT = 256 << 20
_RASTERS = (".tif", ".tiff")


def inventory(params: IngestCollectionParameters, ctx: TaskContext) -> IngestInventory:
    """Read and check collection and items; what is wrong with an item sets that item aside."""
    name = BlobName(params.source_container, params.collection_json_path)
    collection = _collection(ctx.storage, name, params.collection_id)
    collection_id = str(collection["id"])
    if params.collection_must_exist and ctx.catalog.collection(collection_id) is None:
        raise missing_collection(collection_id)
    there = {member.item_id for member in ctx.catalog.members(collection_id)}
    good: dict[str, ItemToCopy] = {}
    aside: list[IngestOutcome] = []
    for path, document in _documents(ctx.storage, params, _links(ctx.storage, name)):
        item_id = str(document.get("id"))
        try:
            if item_id in good:
                raise InvalidRequest(f"{path} is a second item {item_id!r}.")
            if item_id in there and not params.overwrite:
                aside.append(_known(item_id, skip=params.skip_existing))
                continue
            good[item_id] = _item(document, path, collection_id, params.source_container, ctx.storage)
        except (DataError, RequestError) as e:
            aside.append(failed(item_id, e))
        if len(good) + len(aside) > MAX_ITEMS:
            raise InvalidRequest(f"{name} has more than {MAX_ITEMS} items.", hint="Split it into several collections.")
    if not good and not aside:
        raise UnreadableSource(f"{name} has no items.", hint="Give items_path, or item links in the collection.")
    items, size = tuple(good.values()), params.batch_size
    batches = tuple(items[start : start + size] for start in range(0, len(items), size))
    return IngestInventory(collection_id=collection_id, collection=collection, batches=batches, aside=tuple(aside))


def failed(item_id: str, error: DataError | RequestError, blob: str | None = None) -> IngestOutcome:
    """An item that is not registered, and why."""
    return IngestOutcome(
        item_id=item_id,
        status=IngestStatus.FAILED,
        source_blob=blob,
        error_code=error.code,
        error_message=error.message,
    )


def resolve(href: str, document: str, container: str, storage: ObjectStorage) -> str:
    """The path inside the container that an href of a document means. Raises InvalidRequest for anything else.

    An absolute path, as a document made on another machine has, is looked for by its name beside the document.
    """
    ours = storage.parse_href(href)
    if ours is not None and ours.container == container:
        return ours.path
    folder = posixpath.dirname(document)
    if "://" in href or href.startswith(("/vsi", "\\", "~")) or ours is not None:
        raise InvalidRequest(
            f"{href!r} in {document} lies outside container {container}.", hint="Copy the file into the container."
        )
    found = posixpath.normpath(posixpath.join(folder, posixpath.basename(href) if href.startswith("/") else href))
    return BlobName(container, found).path  # refuses what climbs out


def _collection(storage: ObjectStorage, name: BlobName, collection_id: str | None) -> Json:
    document = cast("Json", _json(storage, name))
    kept = {key: value for key, value in document.items() if key not in ("links", "item_assets", "assets")}
    made: Json = {**kept, "stac_version": pystac.get_stac_version(), "links": []}
    if collection_id:
        made["id"] = collection_id
    try:
        stac_pydantic.Collection.model_validate(made)
    except ValidationError as e:
        raise InvalidRequest(f"{name} is no STAC collection: {_first(e)}") from e
    return made


def _links(storage: ObjectStorage, name: BlobName) -> list[str]:
    links = cast("Json", _json(storage, name)).get("links") or []
    wanted = [cast("Mapping[str, str]", link) for link in cast("list[JsonValue]", links) if isinstance(link, dict)]
    return [
        resolve(link["href"], name.path, name.container, storage)
        for link in wanted
        if link.get("rel") == "item" and "href" in link
    ]


def _documents(
    storage: ObjectStorage, params: IngestCollectionParameters, links: list[str]
) -> Iterator[tuple[str, Json]]:
    folder = posixpath.dirname(params.collection_json_path)
    beside = posixpath.join(folder, "items.json")
    names = [blob.name.path for blob in storage.list(params.source_container, f"{folder}/" if folder else "")]
    if params.items_path:
        paths = [params.items_path]
    elif links:
        paths = links
    elif beside in names:
        paths = [beside]
    else:
        paths = [n for n in names if n.endswith((".json", ".geojson")) and n != params.collection_json_path]
    for path in paths:
        for document in _features(storage, BlobName(params.source_container, path)):
            yield path, document


def _features(storage: ObjectStorage, name: BlobName) -> Iterator[Json]:
    """The items of a file: one, a FeatureCollection, a list, or one a line."""
    found = _json(storage, name)
    if isinstance(found, dict) and found.get("type") == "FeatureCollection":
        found = found.get("features")
    for document in found if isinstance(found, list) else [found]:
        if isinstance(document, dict) and document.get("type") == "Feature":
            yield document


def _json(storage: ObjectStorage, name: BlobName) -> JsonValue:
    if storage.head(name).size > _LARGEST_DOCUMENT:
        raise UnreadableSource(f"{name} is larger than {_LARGEST_DOCUMENT >> 20} MiB, too large for a STAC document.")
    text = storage.read(name)
    try:
        return cast("JsonValue", json.loads(text))
    except ValueError as whole:
        try:
            return cast("JsonValue", [json.loads(line) for line in text.splitlines() if line.strip()])
        except ValueError:
            raise UnreadableSource(f"{name} is no JSON: {whole}", hint="Export it again.") from whole


def _item(document: Json, path: str, collection_id: str, container: str, storage: ObjectStorage) -> ItemToCopy:
    made = {**document, "stac_version": pystac.get_stac_version(), "collection": collection_id, "links": []}
    try:
        stac_pydantic.Item.model_validate(made)
    except ValidationError as e:
        raise InvalidRequest(f"Item {document.get('id')!r} of {path} is no STAC item: {_first(e)}") from e
    assets = cast("Mapping[str, Mapping[str, JsonValue]]", document["assets"])
    rasters = {key: str(a["href"]) for key, a in assets.items() if str(a["href"]).lower().endswith(_RASTERS)}
    if len(rasters) > 1:
        rasters = {key: href for key, href in rasters.items() if key == "data"} or rasters
    if len(rasters) != 1:
        raise InvalidRequest(
            f"Item {document['id']!r} of {path} has {len(rasters)} GeoTIFF assets, expected 1.",
            hint="Name the one to register 'data'.",
        )
    blob = resolve(next(iter(rasters.values())), path, container, storage)
    return ItemToCopy(item_id=str(document["id"]), blob=blob, document=made)


def _known(item_id: str, *, skip: bool) -> IngestOutcome:
    if skip:
        return IngestOutcome(item_id=item_id, status=IngestStatus.SKIPPED)
    return failed(item_id, Conflict(f"Item {item_id!r} is in the catalogue.", hint="Set overwrite or skip_existing."))


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
