"""What do the headers of a source say? Asked in the web process, so only of what can be read quickly."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from pydantic import BaseModel

from core.contracts.context import Sight
from core.contracts.plans import Look, PlanFinding
from core.machine.registry import Registry
from core.models.platform import DataType
from services.platform.submit import Prepared

_MEBIBYTE = 1 << 20
_Preview = Callable[[BaseModel, Sight], Look]
#: Named, not imported: GDAL is loaded by the first dry run.
_PREVIEWS: Mapping[DataType, str] = {
    DataType.RASTER: "services.raster.preview:preview",
    DataType.VECTOR: "services.vector.preview:preview",
}


class Looker:
    """Looks at sources up to `limit_mb` MiB, each in a directory of its own below `sight.workdir`."""

    def __init__(self, registry: Registry, sight: Sight, limit_mb: int) -> None:
        self._registry = registry
        self._sight = sight
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
        self._sight.workdir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="plan-", dir=self._sight.workdir) as folder:
            return preview(parameters, replace(self._sight, workdir=Path(folder)))


def _unseen(message: str) -> Look:
    return Look(facts={}, findings=(PlanFinding(code="not_opened", severity="info", message=message),))
