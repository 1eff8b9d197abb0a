"""The calls that programs make of the API."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Self

import httpx

from .errors import ClientError
from .models import (
    ApiKey,
    Approval,
    ApprovalPage,
    AuditEntry,
    Decision,
    ErrorEntry,
    JobAnswer,
    JobPage,
    JobSummary,
    MadeKey,
    Plan,
    RequestStatus,
    Submission,
    Submitted,
)
from .transport import Json, Transport


class Client:
    """A system's API as one caller, by API key or Entra ID token. `http` brings another httpx client along.

    Raises ApiError for what the API refuses, Unreachable when it does not answer. What the named calls do not cover,
    `get`, `post`, `put` and `delete` of `raw` do.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 60,
        http: httpx.Client | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        headers = {"X-API-Key": key} if key else {"Authorization": f"Bearer {token}"} if token else {}
        self.raw = Transport(http or httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self.raw.http.close()

    def ready(self) -> bool:
        """True while the system takes requests."""
        try:
            return self.raw.http.get("/api/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def health(self) -> Json:
        """Every component. Also when one is down, which is no error of this call."""
        return self.raw.report("/api/health")

    def submit(self, submission: Submission) -> Submitted:
        """Process a dataset. The same submission again gets the job it already has."""
        body = submission.model_dump(exclude_unset=True)
        return Submitted.model_validate(self.raw.post_once("/api/platform/submit", body))

    def submit_plan(self, plan_id: str) -> Submitted:
        """Process exactly what a plan said."""
        return Submitted.model_validate(self.raw.post_once("/api/platform/submit", {"plan_id": plan_id}))

    def plan(self, submission: Submission) -> Plan:
        """What a submission would do, without doing it."""
        body = submission.model_dump(exclude_unset=True)
        return Plan.model_validate(self.raw.post("/api/platform/validate", body, again=True))

    def status(self, request_or_job_id: str) -> RequestStatus:
        """How a request is."""
        return RequestStatus.model_validate(self.raw.get(f"/api/platform/status/{request_or_job_id}"))

    def wait(self, request_or_job_id: str, *, seconds: float = 3600, every: float = 2) -> RequestStatus:
        """How a request ended. Raises ClientError when it has not by then."""
        ends = time.monotonic() + seconds
        while not (found := self.status(request_or_job_id)).job_status.ended:
            if time.monotonic() >= ends:
                raise ClientError(f"{request_or_job_id} is {found.job_status} after {seconds:g} s.")
            time.sleep(every)
        return found

    def job(self, job_id: str) -> Json:
        """A job with its stages and its result."""
        return self.raw.get(f"/api/jobs/status/{job_id}")

    def jobs(self, *, limit: int = 50, cursor: str | None = None, **wanted: str | None) -> JobPage:
        """Newest jobs; `status`, `job_type`, `submitted_by`, `q` and the other filters of `GET /api/jobs`."""
        return JobPage.model_validate(self.raw.get("/api/jobs", limit=limit, cursor=cursor, **wanted))

    def all_jobs(self, **wanted: str | None) -> Iterator[JobSummary]:
        """Every job that fits, page by page."""
        page = self.jobs(limit=500, **wanted)
        yield from page.jobs
        while page.next_cursor:
            page = self.jobs(limit=500, cursor=page.next_cursor, **wanted)
            yield from page.jobs

    def cancel(self, job_id: str, reason: str | None = None) -> JobAnswer:
        """Stop a job."""
        return JobAnswer.model_validate(
            self.raw.post(f"/api/jobs/{job_id}/cancel", {"reason": reason} if reason else {})
        )

    def retry(self, job_id: str) -> JobAnswer:
        """Run again what did not succeed."""
        return JobAnswer.model_validate(self.raw.post(f"/api/jobs/{job_id}/retry"))

    def approvals(self, *, status: str | None = None, limit: int = 50, cursor: str | None = None) -> ApprovalPage:
        """Records of what waits for a decision, or got one."""
        return ApprovalPage.model_validate(self.raw.get("/api/approvals", status=status, limit=limit, cursor=cursor))

    def approval(self, approval_id: str) -> Approval:
        """One record."""
        return Approval.model_validate(self.raw.get(f"/api/approvals/{approval_id}"))

    def approve(self, approval_id: str, *, notes: str | None = None, reviewer: str | None = None) -> Decision:
        """Publish."""
        return self._decide(approval_id, "approve", notes=notes, reviewer=reviewer)

    def reject(self, approval_id: str, reason: str, *, reviewer: str | None = None) -> Decision:
        """Refuse."""
        return self._decide(approval_id, "reject", reason=reason, reviewer=reviewer)

    def revoke(self, approval_id: str, reason: str, *, revoker: str | None = None) -> Decision:
        """Withdraw what was published."""
        return self._decide(approval_id, "revoke", reason=reason, revoker=revoker)

    def keys(self, *, client_id: str | None = None, revoked: bool = False) -> list[ApiKey]:
        """API keys, without their secrets."""
        found = self.raw.get("/api/admin/keys", client_id=client_id, revoked=revoked)
        return [ApiKey.model_validate(key) for key in found["keys"]]

    def create_key(
        self, client_id: str, roles: Sequence[str], *, name: str | None = None, days: int | None = None
    ) -> MadeKey:
        """Make a key."""
        body: Json = {"client_id": client_id, "roles": list(roles), "name": name, "expires_in_days": days}
        return MadeKey.model_validate(self.raw.post("/api/admin/keys", _given(body)))

    def rotate_key(self, key_id: str, *, grace_hours: float = 0) -> MadeKey:
        """Make a key that replaces another."""
        return MadeKey.model_validate(self.raw.post(f"/api/admin/keys/{key_id}/rotate", {"grace_hours": grace_hours}))

    def revoke_key(self, key_id: str) -> ApiKey:
        """Withdraw a key."""
        return ApiKey.model_validate(self.raw.delete(f"/api/admin/keys/{key_id}")["key"])

    def audit(self, *, limit: int = 50, since: datetime | None = None, **wanted: str | None) -> list[AuditEntry]:
        """Who did what, newest first; `actor`, `action`, `object_type`, `object_id`, `client_id`."""
        found = self.raw.get("/api/admin/audit", limit=limit, since=since and since.isoformat(), **wanted)
        return [AuditEntry.model_validate(entry) for entry in found["entries"]]

    def explain(self, code: str) -> ErrorEntry:
        """What an error code means and what to do."""
        return ErrorEntry.model_validate(self.raw.get(f"/api/errors/{code}"))

    def _decide(self, approval_id: str, verb: str, **body: str | None) -> Decision:
        return Decision.model_validate(self.raw.post(f"/api/approvals/{approval_id}/{verb}", _given(body)))


def _given(body: Json | dict[str, str | None]) -> Json:
    return {name: value for name, value in body.items() if value is not None}
