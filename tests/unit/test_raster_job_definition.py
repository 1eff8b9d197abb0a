"""The declaration of process_raster_v2: parameters partners send, results they read."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from core.contracts.raster import OutputTier, ProcessRasterParameters, RasterType
from jobs.process_raster_v2 import JOB
from services.raster.names import cog_id, output_folder, raster_item_id, stem

REQUIRED = {"blob_name": "a.tif", "container_name": "bronze-rasters", "collection_id": "c", "access_level": "OUO"}


def parameters(**changes: object) -> ProcessRasterParameters:
    return ProcessRasterParameters.model_validate({**REQUIRED, **changes})


@pytest.mark.parametrize("missing", REQUIRED)
def test_what_is_required_is_required(missing):
    with pytest.raises(ValidationError, match=missing):
        ProcessRasterParameters.model_validate({k: v for k, v in REQUIRED.items() if k != missing})


def test_defaults_keep_the_grid_and_lose_nothing():
    params = parameters()
    assert (params.target_crs, params.output_tier, params.raster_type) == (None, OutputTier.ANALYSIS, RasterType.AUTO)
    assert not params.strict_mode and params.jpeg_quality == 85 and params.access_level.value == "ouo"


@pytest.mark.parametrize(
    "wrong",
    [
        {"raster_type": "picture"},
        {"output_tier": "gold"},
        {"jpeg_quality": 0},
        {"container_name": "/etc"},
        {"blob_name": "../secret.tif"},
        {"blob_name": "/vsicurl/http://host/a.tif"},
        {"output_folder": "../up"},
        {"collection_id": "a:b"},
        {"access_level": "everyone"},
        {"unknown": 1},
    ],
)
def test_what_cannot_be_meant_is_refused_at_submission(wrong):
    with pytest.raises(ValidationError):
        parameters(**wrong)


def test_the_stages_and_task_types_are_those_partners_know():
    assert [(stage.task.name, stage.task.queue.value) for stage in JOB.stages] == [
        ("raster_validate", "raster-tasks"),
        ("raster_create_cog", "raster-tasks"),
        ("raster_extract_stac_metadata", "raster-tasks"),
    ]


def test_an_item_is_named_after_its_version_else_after_its_blob():
    ids = {"dataset_id": "Flood Maps", "resource_id": "RW_2021", "version_id": "v1.0"}
    assert raster_item_id(parameters(**ids).dataset, "x/y.tif") == "flood-maps-rw-2021-v1-0"
    assert raster_item_id(parameters(**ids, item_id="chosen").dataset, "x/y.tif") == "chosen"
    assert raster_item_id(parameters().dataset, "x/y.tif") == "c-x-y-tif"


def test_outputs_have_plain_names():
    assert stem("../../my höhe (1).tif") == "my-h-he-1" and stem("...") == "raster"
    assert output_folder(parameters(dataset_id="a/..", resource_id="b", version_id="1.0").dataset, "x") == "a/b/1.0"
    assert output_folder(parameters().dataset, "x.tif") == "c/c-x-tif"


def test_catalogue_keys_are_unique_and_fit():
    assert cog_id("a", "b-c") != cog_id("a-b", "c")
    long = cog_id("c" * 200, "i" * 200)
    assert len(long) == 255 and long != cog_id("c" * 200, "i" * 199 + "j")
