"""A request body to start from, for every operation that takes one. The tests send each of them where it succeeds."""

from __future__ import annotations

from collections.abc import Mapping

_APPROVAL = {"approval_id": "apr-00000000000000000000000000000000"}
_RASTER = {
    "dataset_id": "elevation-models",
    "resource_id": "alps",
    "version_id": "v1.0",
    "container_name": "bronze-rasters",
    "file_name": "alps/dem.tif",
    "title": "Elevation of the Alps",
    "access_level": "public",
}
_TAKEN_BACK = {"dataset_id": "elevation-models", "resource_id": "alps", "version_id": "v1.0", "dry_run": True}
_RENDER = {"render": {"bidx": [1], "rescale": [[0, 4000]], "colormap_name": "terrain"}, "title": "Heights"}
_STYLE = {"stylingRules": [{"name": "Rivers", "symbolizer": {"stroke": {"color": "#1f78b4", "width": 2}}}]}

EXAMPLES: Mapping[str, object] = {
    "POST /api/platform/submit": _RASTER,
    "POST /api/platform/validate": {"container_name": "bronze-rasters", "file_name": "alps/dem.tif"},
    "POST /api/platform/raster/add-to-collection": {**_RASTER, "collection_id": "elevation-models"},
    "POST /api/platform/unpublish": _TAKEN_BACK,
    "POST /api/platform/unpublish/raster": _TAKEN_BACK,
    "POST /api/platform/unpublish/vector": {"table_name": "rivers_alps_v1_0", "dry_run": True},
    "POST /api/platform/approve": {**_APPROVAL, "notes": "Checked against the source."},
    "POST /api/platform/reject": {**_APPROVAL, "reason": "The heights are in feet."},
    "POST /api/platform/revoke": {**_APPROVAL, "reason": "Superseded by the survey of 2026."},
    "POST /api/platform/resubmit": _APPROVAL,
    "POST /api/approvals/{approval_id}/approve": {"notes": "Checked against the source."},
    "POST /api/approvals/{approval_id}/reject": {"reason": "The heights are in feet."},
    "POST /api/approvals/{approval_id}/revoke": {"reason": "Superseded by the survey of 2026."},
    "POST /api/approvals/test": {"classification": "public"},
    "PUT /api/admin/approval-policies/{scope}": {
        "required_approvals": 2,
        "allow_self": False,
        "auto_approve": True,
        "max_extent_percent": 5,
        "max_count_percent": 10,
    },
    "PUT /api/datasets/{dataset_id}/readers": {"clients": ["acme"]},
    "POST /api/jobs/submit/{job_type}": {"n": 3, "message": "hello"},
    "POST /api/jobs/{job_id}/cancel": {"reason": "The wrong file was submitted."},
    "POST /api/jobs/{job_id}/tasks/{stage}/{index}/cancel": {"reason": "This file is not needed."},
    "POST /api/jobs/{job_id}/resubmit": {"dry_run": True, "delete_artifacts": False, "force": False},
    "PATCH /api/admin/dead-letters/{id}": {"parameters": {"fail": False}},
    "POST /api/admin/dead-letters/{id}/discard": {"reason": "The dataset was withdrawn."},
    "POST /api/admin/dead-letters/redrive": {"all": True, "error_code": "STORAGE_UNAVAILABLE"},
    "POST /api/admin/dead-letters/discard": {"fingerprint": "0" * 32, "reason": "The dataset was withdrawn."},
    "PUT /api/features/collections/{collection_id}/styles/{style_id}": {"title": "Blue rivers", "style": _STYLE},
    "POST /api/jobs/services/register": {
        "url": "https://example.com/arcgis/rest/services/wbd/MapServer",
        "name": "Watersheds",
    },
    "PUT /api/jobs/services/{service_id}": {"name": "Watersheds", "check_interval_minutes": 30},
    "PATCH /api/jobs/services/{service_id}": {"maintenance": True},
    "POST /api/curated/datasets": {
        "dataset_id": "admin0",
        "name": "Countries of the world",
        "source_type": "url",
        "source_url": "https://example.com/countries.geojson",
        "update_schedule": "0 0 1 * * 1",
        "access_level": "public",
        "system_role": "admin0_boundaries",
    },
    "PUT /api/curated/datasets/{dataset_id}": {"update_schedule": "0 0 1 1 * *"},
    "PATCH /api/curated/datasets/{dataset_id}": {"description": "As published by the ministry."},
    "POST /api/curated/datasets/{dataset_id}/update": {"force_update": False, "dry_run": True},
    "POST /api/admin/consistency/repair": {"findings": [], "limit": 100, "dry_run": True},
    "POST /api/admin/consistency/run": {"scope": "full"},
    "POST /api/admin/consistency/findings/{finding_id}/dismiss": {"reason": "The file is kept for the auditors."},
    "POST /api/admin/external/initialize": {
        "target_host": "external-db.postgres.database.azure.com",
        "target_database": "geodb",
        "admin_umi_client_id": "00000000-0000-0000-0000-000000000000",
        "dry_run": True,
    },
    "POST /api/admin/keys": {"client_id": "acme", "roles": ["partner"], "expires_in_days": 365},
    "POST /api/admin/keys/{key_id}/rotate": {"grace_hours": 24},
    "POST /api/raster/{cog_id}/renders": {"render_id": "heights", **_RENDER},
    "PUT /api/raster/{cog_id}/renders/{render_id}": {**_RENDER, "is_default": True},
}
