"""Who may leave, and how: public data that is approved, once, by one run of one pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import JsonValue

from core.contracts.assets import output
from core.contracts.exports import DataFactory, Export, ExportStore, RunStatus, Unfinished
from core.contracts.storage import ObjectStorage
from core.errors import ContractViolation, Forbidden, NotFound
from core.models.platform import AccessLevel
from core.states import ApprovalStatus

_CLOCKS = timedelta(minutes=10)  #: how far the factory's clock may be from the database's


class Exports:
    """Starts and follows the runs that approvals ask for."""

    def __init__(
        self,
        factory: DataFactory,
        store: ExportStore,
        storage: ObjectStorage,
        *,
        blob_pipeline: str,
        vector_pipeline: str,
    ) -> None:
        self._factory = factory
        self._store = store
        self._storage = storage
        self._blob_pipeline = blob_pipeline
        self._vector_pipeline = vector_pipeline

    def deliver(self, payload: Mapping[str, JsonValue]) -> None:
        """Start the run of an approval, unless it has one. What was revoked meanwhile stays.

        Raises ContractViolation without an access level, Forbidden for any but public.
        """
        if not payload.get("access_level"):
            raise ContractViolation("An export was asked for without access_level; nothing leaves.")
        export = self._store.get(str(payload["approval_id"]))
        if payload["access_level"] != AccessLevel.PUBLIC or export.classification is not AccessLevel.PUBLIC:
            raise Forbidden(f"{export.approval_id} is {export.classification}; only public data leaves.")
        if export.run_id is not None or export.status is not ApprovalStatus.APPROVED:
            return
        pipeline = self._vector_pipeline if export.tables else self._blob_pipeline
        # An earlier attempt may have started it and died before it could say so.
        run = self._started_before(pipeline, export) or self._factory.create_run(pipeline, self._parameters(export))
        self._store.started(export.approval_id, run)

    def poll(self, limit: int = 50) -> int:
        """Look how runs are that had not ended; how many were looked at."""
        waiting = self._store.unfinished(limit)
        for export in waiting:
            status, message = self._state(export)
            if status is not None:
                self._store.ended(export.approval_id, export.run_id, status, message)
        return len(waiting)

    def _state(self, export: Unfinished) -> tuple[RunStatus | None, str | None]:
        """How a run is. The factory lists it a moment after it accepts it, and forgets it in the end."""
        try:
            run = self._factory.run(export.run_id)
        except NotFound as e:
            return (RunStatus.FAILED, e.message) if export.silent else (None, None)
        return run.status, run.message

    def _started_before(self, pipeline: str, export: Export) -> str | None:
        found = self._factory.runs_since(pipeline, export.reviewed_at - _CLOCKS)
        mine = [run.run_id for run in found if run.parameters.get("approval_id") == export.approval_id]
        return mine[0] if mine else None

    def _parameters(self, export: Export) -> dict[str, JsonValue]:
        files: list[JsonValue] = [str(name) for href in export.files if (name := output(self._storage, href))]
        return {
            **export.parameters,
            "approval_id": export.approval_id,
            "access_level": export.classification.value,
            "files": files,
            "tables": list(export.tables),
        }
