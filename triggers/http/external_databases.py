"""`/api/admin/external`: preparing databases of others for what we publish."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.errors import InvalidRequest
from core.models.audit import AuditAction
from infrastructure.administration import external_prerequisites
from infrastructure.administration.external_prerequisites import Preparation, Prerequisite
from infrastructure.administration.external_targets import Target
from triggers.http.access import TheRuntime
from triggers.http.scope import Admin

router = APIRouter(prefix="/api/admin/external", tags=["external databases"])
# libpq reads more than a name out of other text.
Host = Annotated[str, StringConstraints(max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")]
Database = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
User = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


class InitializeDatabase(BaseModel):
    """Which database, and the managed identity that administers it; `admin_umi_name` is its user name there."""

    model_config = ConfigDict(extra="forbid")

    target_host: Host
    target_database: Database
    admin_umi_client_id: ClientId
    admin_umi_name: User | None = None
    dry_run: bool = Field(False, description="Tell what would be done, and do nothing.")


class Prerequisites(BaseModel):
    """The six prerequisites. `ready` is true when all are met."""

    ready: bool
    target_host: str | None
    prerequisites: list[Prerequisite]


class Initialized(BaseModel):
    """What was done. `ready` is false where a dry run found a prerequisite not met."""

    success: bool = True
    target_host: str
    target_database: str
    result: Preparation


@router.get("/prereqs")
def prereqs(
    runtime: TheRuntime,
    _: Admin,
    target_host: Annotated[Host | None, Query(description="With the other two: look at this server.")] = None,
    target_database: Annotated[Database | None, Query()] = None,
    admin_umi_client_id: Annotated[ClientId | None, Query()] = None,
    admin_umi_name: Annotated[User | None, Query()] = None,
) -> Prerequisites:
    """What has to be done before a database can be prepared; with a target, how each stands."""
    needed = (target_host, target_database, admin_umi_client_id)
    if target_host is None or target_database is None or admin_umi_client_id is None:
        if any((*needed, admin_umi_name)):
            raise InvalidRequest(
                "A target takes target_host, target_database and admin_umi_client_id.",
                hint="Leave all of them out to have the six prerequisites explained.",
            )
        return Prerequisites(ready=False, target_host=None, prerequisites=external_prerequisites.unknown(None))
    target = Target(target_host, target_database, admin_umi_client_id, admin_umi_name)
    found = runtime.external_databases.examine(target)
    return Prerequisites(ready=all(each.met for each in found), target_host=target_host, prerequisites=found)


@router.post("/initialize")
def initialize(body: InitializeDatabase, runtime: TheRuntime, caller: Admin) -> Initialized:
    """Make pgSTAC and the schema geo there; what exists stays. 409 with the fix while a prerequisite is not met."""
    target = Target(body.target_host, body.target_database, body.admin_umi_client_id, body.admin_umi_name)
    result = runtime.external_databases.prepare(target, dry_run=body.dry_run)
    if not body.dry_run:
        name = f"{target.host}/{target.database}"
        runtime.audit.write(caller, AuditAction.EXTERNAL_INITIALIZE, name, {"steps": list(result.steps)})
    return Initialized(target_host=target.host, target_database=target.database, result=result)
