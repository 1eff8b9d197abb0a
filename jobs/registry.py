"""Every job type, listed."""

from __future__ import annotations

from collections.abc import Mapping

from core.machine.registry import AnyJob
from jobs import (
    curated_dataset_update,
    detect_orphan_blobs,
    hello_world,
    ingest_collection,
    inventory_container_contents,
    process_large_raster_docker,
    process_large_raster_v2,
    process_raster_collection_v2,
    process_raster_docker,
    process_raster_v2,
    process_vector,
    process_vector_docker,
    rebuild_stac,
    reconcile,
    register_silver_blobs,
    repair_stac_items,
    stac_catalog_container,
    stac_catalog_vectors,
    unpublish_raster,
    unpublish_vector,
    validate_raster_job,
)

JOBS: Mapping[str, AnyJob] = {
    job.name: job
    for job in (
        curated_dataset_update.JOB,
        hello_world.JOB,
        ingest_collection.JOB,
        inventory_container_contents.JOB,
        process_large_raster_docker.JOB,
        process_large_raster_v2.JOB,
        process_raster_collection_v2.JOB,
        process_raster_docker.JOB,
        process_raster_v2.JOB,
        process_vector.JOB,
        process_vector_docker.JOB,
        rebuild_stac.JOB,
        reconcile.JOB,
        detect_orphan_blobs.JOB,
        register_silver_blobs.JOB,
        repair_stac_items.JOB,
        stac_catalog_vectors.JOB,
        unpublish_vector.JOB,
        stac_catalog_container.JOB,
        unpublish_raster.JOB,
        validate_raster_job.JOB,
    )
}
