"""Reading a static STAC collection out of a container: only files of that container are ever opened."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import pystac
import stac_pydantic
from pydantic import JsonValue, TypeAdapter, ValidationError

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
from core.contracts.raster import Identifier
from core.contracts.storage import BlobName, ObjectStorage
from core.errors import Conflict, DataError, InvalidRequest, RequestError, UnreadableSource

_LARGEST_DOCUMENT = 256 << 20
_RASTERS = (".tif", ".tiff")
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def inventory(params: IngestCollectionParameters, ctx: TaskContext) -> IngestInventory:
    """Read and check collection and items; what is wrong with an item sets that item aside."""
    name = BlobName(params.source_container, params.collection_json_path)
    collection = _collection(ctx.storage, name, params)
    collection_id = str(collection["id"])
    if params.collection_must_exist and ctx.catalog.collection(collection_id) is None:
        raise missing_collection(collection_id)
    there = {member.item_id for member in ctx.catalog.members(collection_id)}
    good: dict[str, ItemToCopy] = {}
    aside: list[IngestOutcome] = []
    for path, document in _documents(ctx.storage, params):
        item_id = str(document.get("id")) if isinstance(document, dict) else path
        try:
            if not isinstance(document, dict):
                raise document
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


def _collection(storage: ObjectStorage, name: BlobName, params: IngestCollectionParameters) -> Json:
    document = _json(storage, name)
    if not isinstance(document, dict):
        raise InvalidRequest(f"{name} is no STAC collection: it is a list or a single value.")
    kept = {key: value for key, value in document.items() if key not in ("links", "item_assets", "assets")}
    made: Json = {**kept, "stac_version": pystac.get_stac_version(), "links": []}
    words: Json = {"id": params.collection_id, "title": params.title, "description": params.description}
    words["keywords"] = cast("JsonValue", list(params.tags))
    made |= {name: value for name, value in words.items() if value}
    try:
        stac_pydantic.Collection.model_validate(made)
    except ValidationError as e:
        raise InvalidRequest(f"{name} is no STAC collection: {first_problem(e)}") from e
    return made


def _documents(
    storage: ObjectStorage, params: IngestCollectionParameters
) -> Iterator[tuple[str, Json | DataError | RequestError]]:
    """Every item document and where it stands, or why it cannot be read."""
    for path in _paths(storage, params):
        if not isinstance(path, str):
            yield params.collection_json_path, path
            continue
        try:
            yield from _features(storage, BlobName(params.source_container, path))
        except (DataError, RequestError) as e:
            yield path, e


def _paths(storage: ObjectStorage, params: IngestCollectionParameters) -> Iterable[str | RequestError]:
    if params.items_path:
        return [params.items_path]
    links = list(_links(storage, BlobName(params.source_container, params.collection_json_path)))
    if links:
        return links
    folder = posixpath.dirname(params.collection_json_path)
    beside = posixpath.join(folder, "items.json")
    names = [blob.name.path for blob in storage.list(params.source_container, f"{folder}/" if folder else "")]
    if beside in names:
        return [beside]
    return [n for n in names if n.endswith((".json", ".geojson")) and n != params.collection_json_path]


def _links(storage: ObjectStorage, name: BlobName) -> Iterator[str | RequestError]:
    """Where the items are that the collection links to, or what is wrong with a link."""
    links = cast("Json", _json(storage, name)).get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "item":
            try:
                yield resolve(str(link.get("href")), name.path, name.container, storage)
            except RequestError as e:
                yield e


def _features(storage: ObjectStorage, name: BlobName) -> Iterator[tuple[str, Json | UnreadableSource]]:
    """The items of a file: one, a FeatureCollection, a list, or one a line."""
    try:
        found = _json(storage, name)
    except UnreadableSource as e:
        lines = list(_lines(storage.read(name), name.path))
        if not any(isinstance(line, dict) for _, line in lines):
            raise e
        yield from lines
        return
    if isinstance(found, dict) and found.get("type") == "FeatureCollection":
        found = found.get("features")
    for document in found if isinstance(found, list) else [found]:
        if isinstance(document, dict) and document.get("type") == "Feature":
            yield name.path, document


def _lines(text: bytes, path: str) -> Iterator[tuple[str, Json | UnreadableSource]]:
    """Each line's item."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        label = f"{path} line {number}"
        try:
            document = _parsed(line)
        except ValueError as e:
            yield label, UnreadableSource(f"{label} is no JSON: {e}", hint="Export it again.")
            continue
        if isinstance(document, dict) and document.get("type") == "Feature":
            yield label, document


def _json(storage: ObjectStorage, name: BlobName) -> JsonValue:
    if storage.head(name).size > _LARGEST_DOCUMENT:
        raise UnreadableSource(f"{name} is larger than {_LARGEST_DOCUMENT >> 20} MiB, too large for a STAC document.")
    try:
        return _parsed(storage.read(name))
    except ValueError as e:
        raise UnreadableSource(f"{name} is no JSON: {e}", hint="Export it again.") from e


def _parsed(text: bytes) -> JsonValue:
    """Raises ValueError."""
    try:
        return cast("JsonValue", json.loads(text))
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e


def _item(document: Json, path: str, collection_id: str, container: str, storage: ObjectStorage) -> ItemToCopy:
    made = {**document, "stac_version": pystac.get_stac_version(), "collection": collection_id, "links": []}
    try:
        stac_pydantic.Item.model_validate(made)
        _IDENTIFIER.validate_python(made["id"])
    except ValidationError as e:
        raise InvalidRequest(f"Item {document.get('id')!r} of {path} is no STAC item: {first_problem(e)}") from e
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


def first_problem(error: ValidationError) -> str:
    """The first of what is wrong, with where."""
    problem = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
