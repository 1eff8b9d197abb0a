"""Accepting a partner's request: check the source, plan the job, write request and job at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from core.contracts import curated
from core.contracts.catalog import Catalog, missing_collection
from core.contracts.plans import Collision
from core.contracts.platform import Operation, SubmitRequest
from core.contracts.principals import Principal
from core.contracts.requests import KnownRequest, RequestStore
from core.contracts.storage import BlobName, ObjectStorage, StoredBlob
from core.errors import Conflict, Forbidden, InvalidRequest, NotFound, PayloadTooLarge, UnreadableSource
from core.machine import identity
from core.machine.machine import CoreMachine
from core.machine.store import NewJob
from core.models.platform import ApiRequest, DataType
from core.states import JobStatus, terminal_job_statuses
from services.platform import naming, outputs
from services.platform.archives import holds_raster
from services.platform.routing import Routes
from services.platform.translate import PlannedJob, checked, translate
from services.raster.folders import whole

_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Accepted:
    """What became of a request."""

    request_id: str
    job_id: str
    job_type: str
    job_status: JobStatus
    created: bool
    routing: str | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Limits:
    """The largest vector source in MiB, and where rasters of which size go."""

    vector_mb: int
    routes: Routes


@dataclass(frozen=True)
class Source:
    """What a request was made from: of several files the first one's path, and an etag that changes with any."""

    container: str
    path: str
    etag: str
    size: int


@dataclass(frozen=True)
class Prepared:
    """A request that can be accepted: its files as they are now, and the job it would make."""

    request: SubmitRequest
    request_id: str
    client_id: str
    blobs: Sequence[StoredBlob]
    source: Source
    planned: PlannedJob
    job: NewJob


class PlatformService:
    """What `/api/platform/submit` does. `callback` raises for an address that no webhook can be sent to."""

    def __init__(
        self,
        machine: CoreMachine,
        storage: ObjectStorage,
        requests: RequestStore,
        catalog: Catalog,
        limits: Limits,
        *,
        primary_client: str,
        callback: Callable[[str | None], None],
    ) -> None:
        self._machine = machine
        self._storage = storage
        self._requests = requests
        self._catalog = catalog
        self._limits = limits
        self._primary_client = primary_client
        self._callback = callback

    def submit(self, request: SubmitRequest, caller: Principal) -> Accepted:
        """Accept a request once; a repeated one gets the job it already has."""
        return self.accept(self.prepare(request, caller), caller)

    def prepare(self, request: SubmitRequest, caller: Principal) -> Prepared:
        """Find the source and plan the job; writes nothing. Raises what makes the request impossible."""
        client_id = self._client_of(request, caller)
        request = request.model_copy(update={"client_id": client_id})
        request_id = identity.request_id(request.dataset_id, request.resource_id, request.version_id)
        if request.operation is Operation.UPDATE:
            request = self._updating(request, request_id)
        sources = [BlobName(request.container_name, file) for file in request.files]
        if sources[0].zone != "bronze":  # the other zones hold what others have not published yet
            raise InvalidRequest(
                f"container_name {request.container_name!r} is not one that files are submitted from.",
                hint="Upload the file to a container whose name starts with bronze-.",
            )
        request = self._recognised(request, sources)
        data_type = checked(request, sources)
        self._callback(request.callback_url)
        self._check_collection(request)
        blobs = [whole(self._storage, source) for source in sources]
        self._check_sizes(blobs, data_type)
        planned = translate(request, request_id, blobs, self._limits.routes)
        _require_not_curated(planned, caller)
        job = self._machine.prepare(
            planned.job_type, planned.parameters, submitted_by=client_id, correlation_id=request_id
        )
        return Prepared(request, request_id, client_id, blobs, _source(blobs), planned, job)

    def _updating(self, request: SubmitRequest, request_id: str) -> SubmitRequest:
        """The same request, replacing what there is. Raises NotFound when there is nothing yet."""
        if self._requests.find(request_id) is None:
            raise NotFound(
                f"There is no {request.dataset_id} / {request.resource_id} / {request.version_id} to update.",
                hint="Send operation CREATE.",
            )
        options = request.processing_options
        if options.joins:
            return request
        return request.model_copy(update={"processing_options": options.model_copy(update={"overwrite": True})})

    def _recognised(self, request: SubmitRequest, sources: Sequence[BlobName]) -> SubmitRequest:
        """An archive's name does not tell what it holds: where the request does not either, its contents do."""
        options = request.processing_options
        ambiguous = len(sources) == 1 and sources[0].suffix == ".zip" and options.expected_data_type is None
        if not ambiguous or not holds_raster(self._storage, sources[0]):
            return request
        expecting = options.model_copy(update={"expected_data_type": DataType.RASTER})
        return request.model_copy(update={"processing_options": expecting})

    def accept(self, prepared: Prepared, caller: Principal) -> Accepted:
        """Write request and job, unless the request is known."""
        request_id, planned, job = prepared.request_id, prepared.planned, prepared.job
        options = prepared.request.processing_options
        known = self._requests.find(request_id)
        if known is not None:
            if known.request.client_id != prepared.client_id:
                raise Conflict(
                    "dataset_id, resource_id and version_id belong to a request of another client.",
                    hint="Give another dataset_id or version_id.",
                )
            repeated = self._repeated(known, prepared)
            if repeated is not None:
                return repeated
        taken = next((c for c in self.collisions(prepared) if c.blocks), None)
        if taken is not None:
            raise Conflict(taken.message, hint="Give another dataset_id, resource_id or version_id.")
        record = _record(prepared, caller.name)
        if not self._requests.accept(record, job, caller, known=known, rerun=options.overwrites or options.joins):
            return self.accept(prepared, caller)  # another caller was first: answer from what he wrote
        self._machine.accepted(job)
        return Accepted(request_id, job.job_id, planned.job_type, JobStatus.QUEUED, True, planned.routing)

    def collisions(self, prepared: Prepared) -> Sequence[Collision]:
        """What the catalogue has already where the request's outputs would go."""
        return outputs.collisions(prepared.job, self._catalog, prepared.client_id)

    def _check_collection(self, request: SubmitRequest) -> None:
        options = request.processing_options
        if options.collection_must_exist:
            collection = options.collection_id or naming.collection_id(request.dataset_id)
            if self._catalog.collection(collection) is None:
                raise missing_collection(collection)

    def _client_of(self, request: SubmitRequest, caller: Principal) -> str:
        """Whose request it is. Raises Forbidden when a partner names another client than its own."""
        if caller.may():
            return request.client_id or self._primary_client
        if request.client_id not in (None, caller.client_id):
            raise Forbidden(
                f"{caller.name} works for client {caller.client_id!r}, not for {request.client_id!r}.",
                hint="Leave client_id out.",
            )
        return caller.client_id

    def _check_sizes(self, blobs: Sequence[StoredBlob], data_type: DataType) -> None:
        limit = self._limits.vector_mb
        for blob in blobs:
            if blob.size == 0:
                raise UnreadableSource(f"{blob.name} is empty.", hint="Upload the file again.")
            if data_type is DataType.VECTOR and blob.size > limit * _MEGABYTE:
                raise PayloadTooLarge(
                    f"{blob.name} has {blob.size // _MEGABYTE} MiB; the limit for {data_type} is {limit}."
                )

    def _repeated(self, known: KnownRequest, prepared: Prepared) -> Accepted | None:
        """The answer to a request we have; None when it is to be processed again, or to add to what it made."""
        request, finished = known.request, known.job_status in terminal_job_statuses()
        source, options = prepared.source, prepared.request.processing_options
        failed = known.job_status in (JobStatus.FAILED, JobStatus.CANCELLED)
        same_file = (request.source_container, request.source_path) == (source.container, source.path)
        same_work = same_file and request.source_etag == source.etag and request.job_id == prepared.job.job_id
        if options.overwrites or (options.joins and (failed or not same_work)):
            if not finished:
                raise Conflict(
                    f"Request {request.request_id} is still being processed by job {request.job_id}.",
                    hint="Wait for it to finish, then send this again.",
                )
            return None
        if not same_file or request.source_etag != source.etag:
            raise Conflict(
                f"dataset_id, resource_id and version_id belong to request {request.request_id}, which was made from "
                f"{'an older state of ' if same_file else ''}{request.source_container}/{request.source_path}.",
                hint="Give a new version_id, or set processing_options.overwrite=true to replace its output.",
            )
        retry = "It did not succeed: " if failed else ""
        hint = f"{retry}set processing_options.overwrite=true to process it again."
        return Accepted(
            request.request_id, request.job_id, known.job_type, known.job_status, False, request.routing, hint
        )


def _require_not_curated(planned: PlannedJob, caller: Principal) -> None:
    table = str(planned.parameters.get("table_name") or "")
    if table.startswith(curated.PREFIX) and not caller.may():
        raise Forbidden(
            f"{table} would be a curated table, which the system keeps itself.", hint="Give another dataset_id."
        )


def _source(blobs: Sequence[StoredBlob]) -> Source:
    first = blobs[0]
    etag = first.etag
    if len(blobs) > 1:
        etag = sha256(json.dumps([(blob.name.path, blob.etag) for blob in blobs]).encode()).hexdigest()
    return Source(first.name.container, first.name.path, etag, sum(blob.size for blob in blobs))


def _record(prepared: Prepared, submitted_by: str) -> ApiRequest:
    request, source = prepared.request, prepared.source
    return ApiRequest(
        request_id=prepared.request_id,
        dataset_id=request.dataset_id,
        resource_id=request.resource_id,
        version_id=request.version_id,
        client_id=prepared.client_id,
        operation=request.operation.value,
        data_type=prepared.planned.data_type,
        job_id=prepared.job.job_id,
        routing=prepared.planned.routing,
        source_container=source.container,
        source_path=source.path,
        source_etag=source.etag,
        source_size=source.size,
        access_level=request.access_level,
        callback_url=request.callback_url,
        request=request.model_dump(mode="json"),
        submitted_by=submitted_by,
    )
