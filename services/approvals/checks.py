"""Is what would be published valid, and made from the bytes that are there? Looked at now, not remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from core.contracts.storage import BlobName, ObjectStorage
from core.errors import GeomachineError, InvalidRequest, SourceNotFound, StorageUnavailable
from core.models.artifacts import Artifact


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `valid` is None where it could not be told."""

    name: str
    valid: bool | None
    problems: tuple[str, ...] = ()


def stac_check(item: Mapping[str, JsonValue] | None) -> Check:
    """The item against the specification."""
    import stac_pydantic

    if item is None:
        return Check("stac", False, ("The item is gone.",))
    try:
        stac_pydantic.Item.model_validate(dict(item))
    except ValidationError as e:
        return Check("stac", False, tuple(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in e.errors()[:20]))
    return Check("stac", True)


def cog_check(storage: ObjectStorage, name: BlobName) -> Check:
    """The file against what a COG has to be; reads its headers."""
    from rio_cogeo.cogeo import cog_validate

    from services.raster.gdal import gdal_session, reading

    try:
        with gdal_session(storage, name), reading(name, "validate"):
            valid, errors, _ = cog_validate(storage.gdal_path(name), quiet=True)
    except StorageUnavailable as e:
        return Check("cog", None, (e.message,))
    except GeomachineError as e:
        return Check("cog", False, (e.message,))
    return Check("cog", bool(valid), tuple(errors))


def source_check(storage: ObjectStorage, artifact: Artifact | None) -> Check:
    """Whether the source still is what the revision was made from."""
    if artifact is None or artifact.source_container is None or artifact.source_path is None:
        return Check("source", None, ("It was not made from one file of a request.",))
    try:
        now = storage.head(BlobName(artifact.source_container, artifact.source_path))
    except SourceNotFound:
        return Check("source", False, ("The source is gone.",))
    except StorageUnavailable as e:
        return Check("source", None, (e.message,))
    except InvalidRequest as e:
        return Check("source", None, (e.message,))
    if now.etag == artifact.source_etag:
        return Check("source", True)
    return Check("source", False, (f"The source has other bytes now: {now.size} instead of {artifact.source_size}.",))
