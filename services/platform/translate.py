"""Which job does a submit request ask for, and with which parameters?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from core.contracts import raster_formats
from core.contracts.platform import ProcessingMode, ProcessingOptions, SubmitRequest
from core.contracts.storage import BlobName, StoredBlob
from core.contracts.vector import EXTENSIONS
from core.errors import InvalidRequest, UnsupportedFormat
from core.models.platform import DataType
from services.platform import naming
from services.platform.routing import Routes, route_raster

VECTOR_EXTENSIONS = frozenset({*EXTENSIONS})
RASTER_EXTENSIONS = raster_formats.EXTENSIONS - VECTOR_EXTENSIONS

_RASTER_ONLY = frozenset(
    {
        "variable",
        "raster_type",
        "output_tier",
        "jpeg_quality",
        "strict_mode",
        "processing_mode",
        "collection_must_exist",
    }
)
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


def data_type_of(source: BlobName) -> DataType:
    """What kind of data a file holds, by its extension."""
    extension = source.suffix.lstrip(".")
    if extension in VECTOR_EXTENSIONS:
        return DataType.VECTOR
    if extension in RASTER_EXTENSIONS:
        return DataType.RASTER
    known = ", ".join(sorted(VECTOR_EXTENSIONS | RASTER_EXTENSIONS))
    raise UnsupportedFormat(
        f"file_name {source.path!r} has the extension {extension or 'none'!r}, which no pipeline reads.",
        hint=f"Known extensions: {known}.",
    )


def checked(request: SubmitRequest, source: BlobName) -> DataType:
    """What kind of data is submitted. Raises InvalidRequest for options that it does not know."""
    data_type = data_type_of(source)
    options = request.processing_options
    if options.expected_data_type not in (None, data_type):
        raise InvalidRequest(
            f"processing_options.expected_data_type is {options.expected_data_type}, but {source.path!r} holds "
            f"{data_type} data."
        )
    foreign = _VECTOR_ONLY if data_type is DataType.RASTER else _RASTER_ONLY
    wrong = sorted(options.model_fields_set & foreign)
    if wrong:
        raise InvalidRequest(f"processing_options.{wrong[0]} does not apply to {data_type} data.")
    return data_type


def translate(request: SubmitRequest, request_id: str, blob: StoredBlob, routes: Routes) -> PlannedJob:
    """The job for a request whose file was found. Raises InvalidRequest or PayloadTooLarge."""
    match checked(request, blob.name):
        case DataType.RASTER:
            return _raster(request, request_id, blob, routes)
        case _:
            return _vector(request, request_id, blob.name)


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
    ids = (request.dataset_id, request.resource_id, request.version_id)
    options, source = request.processing_options, blob.name
    route = route_raster(options.processing_mode or ProcessingMode.AUTO, str(source), blob.size, routes)
    parameters: dict[str, JsonValue] = {
        **_identity(request, request_id),
        "container_name": source.container,
        "blob_name": source.path,
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
    return PlannedJob(route.job_type, DataType.RASTER, parameters, route.reason)


def _vector(request: SubmitRequest, request_id: str, source: BlobName) -> PlannedJob:
    options = request.processing_options
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
        ),
    }
    return PlannedJob("process_vector", DataType.VECTOR, parameters, "Every vector is processed by process_vector.")
