"""Which job does a submit request ask for, and with which parameters?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import JsonValue

from core.contracts import raster_formats
from core.contracts.platform import ProcessingMode, ProcessingOptions, SubmitRequest
from core.contracts.storage import BlobName, StoredBlob
from core.contracts.vector_formats import EXTENSIONS
from core.errors import InvalidRequest, UnsupportedFormat
from core.models.platform import DataType
from services.platform import naming
from services.platform.routing import Routes, route_collection, route_raster, route_vector

VECTOR_EXTENSIONS = frozenset({*EXTENSIONS})
RASTER_EXTENSIONS = raster_formats.EXTENSIONS - VECTOR_EXTENSIONS

_RASTER_ONLY = frozenset(
    {
        "variable",
        "raster_type",
        "output_tier",
        "jpeg_quality",
        "strict_mode",
        "collection_must_exist",
    }
)
_ALONE_ONLY = frozenset({"processing_mode"})
_COLLECTION_ONLY = frozenset({"create_mosaicjson"})
_VECTOR_ONLY = frozenset(
    {
        "layer_name",
        "lon_column",
        "lat_column",
        "wkt_column",
        "all_layers",
        "on_invalid",
        "geometry_params",
        "indexes",
        "column_mapping",
        "temporal_property",
    }
)


@dataclass(frozen=True)
class PlannedJob:
    """A job type and its parameters, not validated yet."""

    job_type: str
    data_type: DataType
    parameters: Mapping[str, JsonValue]
    routing: str  #: why this job type


def data_type_of(source: BlobName, expected: DataType | None = None) -> DataType:
    """What kind of data a file holds, by its extension; an archive's by that before `.zip`, else as expected."""
    extension = source.suffix.lstrip(".")
    inner = PurePosixPath(source.path).with_suffix("").suffix.lower().lstrip(".")
    if extension == "zip" and (expected is DataType.RASTER or inner in RASTER_EXTENSIONS):
        return DataType.RASTER
    if extension in VECTOR_EXTENSIONS:
        return DataType.VECTOR
    if extension in RASTER_EXTENSIONS:
        return DataType.RASTER
    known = ", ".join(sorted(VECTOR_EXTENSIONS | RASTER_EXTENSIONS))
    raise UnsupportedFormat(
        f"file_name {source.path!r} has the extension {extension or 'none'!r}, which no pipeline reads.",
        hint=f"Known extensions: {known}.",
    )


def checked(request: SubmitRequest, sources: Sequence[BlobName]) -> DataType:
    """What kind of data is submitted. Raises InvalidRequest for options or lists of files that it does not know."""
    expected = request.processing_options.expected_data_type
    data_type = data_type_of(sources[0], expected)
    other = next((source for source in sources if data_type_of(source, expected) is not data_type), None)
    if other is not None:
        raise InvalidRequest(f"file_name lists {sources[0].path!r} and {other.path!r}, data of different types.")
    if len(sources) > 1 and data_type is not DataType.RASTER:
        raise InvalidRequest(
            f"file_name names several files, and {data_type} data is processed one by one.",
            hint="Submit each under its own resource_id.",
        )
    options = request.processing_options
    if options.expected_data_type not in (None, data_type):
        raise InvalidRequest(
            f"processing_options.expected_data_type is {options.expected_data_type}, but {sources[0].path!r} holds "
            f"{data_type} data."
        )
    wrong = sorted(options.model_fields_set & _foreign(data_type, len(sources)))
    if wrong:
        many = "several files" if len(sources) > 1 else "one file"
        of = f" of {many}" if wrong[0] in _COLLECTION_ONLY | _ALONE_ONLY and data_type is DataType.RASTER else ""
        raise InvalidRequest(f"processing_options.{wrong[0]} does not apply to {data_type} data{of}.")
    return data_type


def _foreign(data_type: DataType, files: int) -> frozenset[str]:
    """The options that data of this type and number does not know."""
    if data_type is not DataType.RASTER:
        return _RASTER_ONLY | _COLLECTION_ONLY
    return _VECTOR_ONLY | (_ALONE_ONLY if files > 1 else _COLLECTION_ONLY)


def translate(request: SubmitRequest, request_id: str, blobs: Sequence[StoredBlob], routes: Routes) -> PlannedJob:
    """The job for a request whose files were found. Raises InvalidRequest or PayloadTooLarge."""
    data_type = checked(request, [blob.name for blob in blobs])
    if data_type is not DataType.RASTER:
        return _vector(request, request_id, blobs[0], routes)
    if len(blobs) > 1:
        return _collection(request, request_id, blobs, routes)
    return _raster(request, request_id, blobs[0], routes)


def _identity(request: SubmitRequest, request_id: str) -> dict[str, JsonValue]:
    return {
        "dataset_id": request.dataset_id,
        "resource_id": request.resource_id,
        "version_id": request.version_id,
        "request_id": request_id,
        "client_id": request.client_id,
        "access_level": request.access_level.value,
        "title": request.title,
        "description": request.description,
    }


def _given(options: ProcessingOptions, **names: str) -> dict[str, JsonValue]:
    """The options that were given, under their job parameter names; the rest keep the job's defaults."""
    dumped = options.model_dump(mode="json")
    values = {parameter: dumped[option] for parameter, option in names.items()}
    return {parameter: value for parameter, value in values.items() if value is not None}


def _raster(request: SubmitRequest, request_id: str, blob: StoredBlob, routes: Routes) -> PlannedJob:
    mode = request.processing_options.processing_mode or ProcessingMode.AUTO
    route = route_raster(mode, str(blob.name), blob.size, routes)
    parameters: dict[str, JsonValue] = {**_any_raster(request, request_id), "blob_name": blob.name.path}
    return PlannedJob(route.job_type, DataType.RASTER, parameters, route.reason)


def _collection(request: SubmitRequest, request_id: str, blobs: Sequence[StoredBlob], routes: Routes) -> PlannedJob:
    route = route_collection({blob.name.path: blob.size for blob in blobs}, routes)
    parameters: dict[str, JsonValue] = {
        **_any_raster(request, request_id),
        "blob_list": [blob.name.path for blob in blobs],
        **_given(request.processing_options, create_mosaicjson="create_mosaicjson"),
    }
    return PlannedJob(route.job_type, DataType.RASTER, parameters, route.reason)


def _any_raster(request: SubmitRequest, request_id: str) -> dict[str, JsonValue]:
    ids = (request.dataset_id, request.resource_id, request.version_id)
    options = request.processing_options
    return {
        **_identity(request, request_id),
        "container_name": request.container_name,
        "output_folder": naming.output_folder(*ids),
        "collection_id": options.collection_id or naming.collection_id(request.dataset_id),
        "item_id": naming.item_id(*ids),
        "tags": list(request.tags),
        **_given(
            options,
            input_crs="input_crs",
            target_crs="crs",
            variable="variable",
            raster_type="raster_type",
            output_tier="output_tier",
            jpeg_quality="jpeg_quality",
            strict_mode="strict_mode",
            collection_must_exist="collection_must_exist",
        ),
    }


def _vector(request: SubmitRequest, request_id: str, blob: StoredBlob, routes: Routes) -> PlannedJob:
    options, source = request.processing_options, blob.name
    route = route_vector(options.processing_mode or ProcessingMode.AUTO, blob.size, routes)
    parameters: dict[str, JsonValue] = {
        **_identity(request, request_id),
        "container_name": source.container,
        "blob_name": source.path,
        "file_extension": source.suffix.lstrip("."),
        "table_name": naming.table_name(request.dataset_id, request.resource_id, request.version_id),
        "overwrite": options.overwrite,
        "keywords": list(request.tags),
        **_given(
            options,
            collection_id="collection_id",
            input_crs="input_crs",
            target_crs="crs",
            layer_name="layer_name",
            lon_name="lon_column",
            lat_name="lat_column",
            wkt_column="wkt_column",
            all_layers="all_layers",
            on_invalid="on_invalid",
            geometry_params="geometry_params",
            indexes="indexes",
            column_mapping="column_mapping",
            temporal_property="temporal_property",
            write_mode="write_mode",
            upsert_key="upsert_key",
            primary_key="primary_key",
            create_tile_view="create_tile_view",
            max_tile_vertices="max_tile_vertices",
            style_attribute="style_attribute",
        ),
    }
    return PlannedJob(route.job_type, DataType.VECTOR, parameters, route.reason)
