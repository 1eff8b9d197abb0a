"""`/api/admin/adf`: the Data Factory that takes public data out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, JsonValue

from core.errors import GeomachineError, NotFound
from triggers.http.access import TheRuntime
from triggers.http.scope import Admin

if TYPE_CHECKING:
    from infrastructure.data_factory.client import AzureDataFactory

router = APIRouter(prefix="/api/admin/adf", tags=["exports"])
RunId = Annotated[str, Path(pattern=r"^[0-9A-Za-z-]{1,100}$")]


class FactoryHealth(BaseModel):
    """Whether exports can run. `pipelines_missing` are configured and not there."""

    configured: bool
    healthy: bool
    state: str | None = None
    error: str | None = None
    pipelines_missing: list[str] = []


class Pipelines(BaseModel):
    """The factory's pipelines, and those that exports use."""

    pipelines: list[str]
    blob_pipeline: str
    vector_pipeline: str


class Run(BaseModel):
    """A run of a pipeline."""

    run_id: str
    pipeline: str
    status: str
    message: str | None
    started_at: str | None
    ended_at: str | None
    parameters: dict[str, JsonValue]


@router.get("/health")
def health(runtime: TheRuntime, _: Admin) -> FactoryHealth:
    """Whether the factory answers, and has the pipelines."""
    factory, settings = runtime.factory, runtime.settings.adf
    if factory is None:
        return FactoryHealth(configured=False, healthy=False)
    try:
        state, known = factory.state(), factory.pipelines()
    except GeomachineError as e:
        return FactoryHealth(configured=True, healthy=False, error=e.message)
    missing = sorted({settings.blob_pipeline, settings.vector_pipeline} - set(known))
    healthy = state == "Succeeded" and not missing
    return FactoryHealth(configured=True, healthy=healthy, state=state, pipelines_missing=missing)


@router.get("/pipelines")
def pipelines(runtime: TheRuntime, _: Admin) -> Pipelines:
    """The factory's pipelines. 404 where no factory is configured."""
    settings = runtime.settings.adf
    return Pipelines(
        pipelines=_factory(runtime.factory).pipelines(),
        blob_pipeline=settings.blob_pipeline,
        vector_pipeline=settings.vector_pipeline,
    )


@router.get("/runs/{run_id}")
def run(run_id: RunId, runtime: TheRuntime, _: Admin) -> Run:
    """How a run is."""
    found = _factory(runtime.factory).run(run_id)
    return Run(**{**vars(found), "status": found.status.value, "parameters": dict(found.parameters)})


def _factory(factory: AzureDataFactory | None) -> AzureDataFactory:
    if factory is None:
        raise NotFound("No Data Factory is configured.", hint="Set the ADF_* settings.")
    return factory
