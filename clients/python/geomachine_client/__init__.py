"""A typed client of the Geomachine API, thin over httpx."""

from .client import Client
from .errors import ApiError, ClientError, Unreachable
from .models import (
    ApiKey,
    Approval,
    ApprovalPage,
    AuditEntry,
    Decision,
    ErrorEntry,
    JobAnswer,
    JobError,
    JobPage,
    JobStatus,
    JobSummary,
    MadeKey,
    Plan,
    RequestStatus,
    Submission,
    Submitted,
)

__all__ = [
    "ApiError",
    "ApiKey",
    "Approval",
    "ApprovalPage",
    "AuditEntry",
    "Client",
    "ClientError",
    "Decision",
    "ErrorEntry",
    "JobAnswer",
    "JobError",
    "JobPage",
    "JobStatus",
    "JobSummary",
    "MadeKey",
    "Plan",
    "RequestStatus",
    "Submission",
    "Submitted",
    "Unreachable",
]
