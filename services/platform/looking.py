"""What do the headers of a source say? Asked in the web process, so only of what can be read quickly."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from pydantic import BaseModel

from core.contracts.plans import Look, PlanFinding
from core.contracts.storage import ObjectStorage
from core.machine.registry import Registry
from core.models.platform import DataType
from services.platform.submit import Prepared

_MEBIBYTE = 1 << 20
_Preview = Callable[[BaseModel, ObjectStorage, Path], Look]
#: Named, not imported: GDAL is loaded by the first dry run.
_PREVIEWS: Mapping[DataType, str] = {
    DataType.RASTER: "services.raster.preview:preview",
    DataType.VECTOR: "services.vector.preview:preview",
}


class Looker:
    """Looks at sources up to `limit_mb` MiB, each in a directory of its own below `scratch`."""

    def __init__(self, registry: Registry, storage: ObjectStorage, scratch: Path, limit_mb: int) -> None:
        self._registry = registry
        self._storage = storage
        self._scratch = scratch
        self._limit_mb = limit_mb

    def __call__(self, prepared: Prepared) -> Look:
        """What the source's headers say. Raises the DataError that its job would end with."""
        planned, size = prepared.planned, prepared.source.size
        if size > self._limit_mb * _MEBIBYTE:
            name = prepared.blobs[0].name
            return _unseen(f"{name} has {size // _MEBIBYTE} MiB and was not opened: the job looks into it.")
        parameters = self._registry.job(planned.job_type).parameters.model_validate(planned.parameters)
        module, _, function = _PREVIEWS[planned.data_type].partition(":")
        preview = cast("_Preview", getattr(importlib.import_module(module), function))
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="plan-", dir=self._scratch) as folder:
            return preview(parameters, self._storage, Path(folder))


def _unseen(message: str) -> Look:
    return Look(facts={}, findings=(PlanFinding(code="not_opened", severity="info", message=message),))
