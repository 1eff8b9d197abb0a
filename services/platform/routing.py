"""Which job does a request get, and why? The one rule for Function App and worker, by measured size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.contracts.platform import ProcessingMode
from core.errors import InvalidRequest, PayloadTooLarge

_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Routes:
    """Where sizes part, in MiB, and whether there is a worker to route to."""

    docker_mb: int
    raster_mb: int
    tiled_mb: int
    worker: bool
    collection_file_mb: int
    collection_files: int
    vector_docker_mb: int = 500


@dataclass(frozen=True)
class Route:
    """A job type, and the sentence that says why it was chosen."""

    job_type: str
    reason: str


def route_raster(mode: ProcessingMode, label: str, size: int, routes: Routes) -> Route:
    """The job for one file of `size` bytes. Raises PayloadTooLarge, or InvalidRequest without the worker asked for."""
    if size > routes.tiled_mb * _MEGABYTE:
        raise PayloadTooLarge(
            f"{label} has {size // _MEGABYTE} MiB; the limit for raster is {routes.tiled_mb}.",
            hint="Split it into tiles, or have RASTER_TILED_MAX_MB raised.",
        )
    if size > routes.raster_mb * _MEGABYTE:
        return _tiled(mode, size, routes)
    docker, because = _docker(mode, size, _Limit("RASTER_ROUTE_DOCKER_MB", routes.docker_mb), routes.worker)
    return Route("process_raster_docker" if docker else "process_raster_v2", because)


def _tiled(mode: ProcessingMode, size: int, routes: Routes) -> Route:
    """Too large for one COG. Each tile is a small task, so they go the parallel way unless the worker is asked for."""
    because = f"{size / _MEGABYTE:.1f} MiB is more than RASTER_ROUTE_REJECT_MB={routes.raster_mb}: it is cut into tiles"
    if mode is ProcessingMode.DOCKER:
        _docker(mode, size, _Limit("RASTER_ROUTE_DOCKER_MB", routes.docker_mb), routes.worker)
        return Route("process_large_raster_docker", f"{because}, by the worker as processing_mode=docker asks.")
    return Route("process_large_raster_v2", f"{because}, which are converted in parallel.")


def route_vector(mode: ProcessingMode, size: int, routes: Routes) -> Route:
    """The job for one file of `size` bytes. Raises InvalidRequest without the worker asked for."""
    docker, because = _docker(mode, size, _Limit("VECTOR_ROUTE_DOCKER_MB", routes.vector_docker_mb), routes.worker)
    return Route("process_vector_docker" if docker else "process_vector", because)


def route_collection(sizes: Mapping[str, int], routes: Routes) -> Route:
    """The job for several files. Raises InvalidRequest for too many, PayloadTooLarge naming those too large."""
    if len(sizes) > routes.collection_files:
        raise InvalidRequest(
            f"file_name lists {len(sizes)} files; a collection takes {routes.collection_files} at once.",
            hint="Submit some, then the others with collection_must_exist, or have RASTER_COLLECTION_MAX_FILES raised.",
        )
    large = sorted(label for label, size in sizes.items() if size > routes.collection_file_mb * _MEGABYTE)
    if large:
        raise PayloadTooLarge(
            f"{', '.join(large[:10])} has more than the {routes.collection_file_mb} MiB allowed in a collection.",
            hint="Submit it alone, or have RASTER_ROUTE_LARGE_MB raised.",
        )
    total = sum(sizes.values()) / _MEGABYTE
    return Route(
        "process_raster_collection_v2",
        f"{len(sizes)} files ({total:.1f} MiB) become one collection; Function App or worker runs each one's tasks.",
    )


@dataclass(frozen=True)
class _Limit:
    """The setting that says from which size on the worker takes a file."""

    setting: str
    megabytes: int


def _docker(mode: ProcessingMode, size: int, above: _Limit, worker: bool) -> tuple[bool, str]:
    measured, limit = f"{size / _MEGABYTE:.1f} MiB", f"{above.setting}={above.megabytes}"
    if mode is ProcessingMode.FUNCTION:
        return False, f"processing_mode=function was asked for ({measured})."
    if mode is ProcessingMode.DOCKER:
        if not worker:
            raise InvalidRequest(
                "processing_options.processing_mode=docker needs a worker, and this system has none.",
                hint="Leave it out, or have DOCKER_WORKER_ENABLED set where a worker runs.",
            )
        return True, f"processing_mode=docker was asked for ({measured})."
    if size <= above.megabytes * _MEGABYTE:
        return False, f"{measured} is at most {limit}: small enough for a Function App."
    if not worker:
        return False, f"{measured} is more than {limit}, but DOCKER_WORKER_ENABLED=false: there is no worker."
    return True, f"{measured} is more than {limit}: for the worker."
