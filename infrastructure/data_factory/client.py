"""The few calls to Azure Data Factory that exports need. API version 2018-06-01 of Microsoft.DataFactory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import httpx
from pydantic import JsonValue

from config import AdfSettings
from core.contracts.exports import PipelineRun, RunStatus
from core.errors import ConfigurationError, NotFound, RemoteUnavailable

_VERSION = "2018-06-01"
SCOPE = "https://management.azure.com/.default"
_PAGES = 20
Json = dict[str, JsonValue]


class AzureDataFactory:
    """One factory. `token` gives a bearer token for Azure Resource Manager. Thread-safe."""

    def __init__(self, settings: AdfSettings, token: Callable[[], str]) -> None:
        self._path = (
            f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
            f"/providers/Microsoft.DataFactory/factories/{settings.factory_name}"
        )
        endpoint, version = settings.endpoint.rstrip("/"), {"api-version": _VERSION}
        self._client = httpx.Client(base_url=endpoint, timeout=httpx.Timeout(15), params=version)
        self._token = token
        self._lock = threading.Lock()

    def create_run(self, pipeline: str, parameters: Mapping[str, JsonValue]) -> str:
        """Start a pipeline; the run's id."""
        return str(self._call("POST", f"/pipelines/{pipeline}/createRun", dict(parameters))["runId"])

    def run(self, run_id: str) -> PipelineRun:
        """How a run is. Raises NotFound."""
        return _run(self._call("GET", f"/pipelineruns/{run_id}"))

    def runs_since(self, pipeline: str, since: datetime) -> list[PipelineRun]:
        """Runs of a pipeline that changed since a moment."""
        asked: Json = {
            "lastUpdatedAfter": since.astimezone(UTC).isoformat(),
            "lastUpdatedBefore": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
            "filters": [{"operand": "PipelineName", "operator": "Equals", "values": [pipeline]}],
        }
        found: list[PipelineRun] = []
        for _ in range(_PAGES):
            answer = self._call("POST", "/queryPipelineRuns", asked)
            found += [_run(cast("Json", row)) for row in cast("list[JsonValue]", answer["value"])]
            if not answer.get("continuationToken"):
                break
            asked = {**asked, "continuationToken": answer["continuationToken"]}
        return found

    def pipelines(self) -> list[str]:
        """The names of the factory's pipelines."""
        rows = cast("list[Json]", self._call("GET", "/pipelines")["value"])
        return sorted(str(row["name"]) for row in rows)

    def state(self) -> str:
        """The factory's provisioning state."""
        properties = cast("Json", self._call("GET", "")["properties"])
        return str(properties["provisioningState"])

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        try:
            with self._lock:
                token = self._token()
            headers = {"Authorization": f"Bearer {token}"}
            answer = self._client.request(method, self._path + path, json=body, headers=headers)
        except httpx.HTTPError as e:
            raise RemoteUnavailable(f"Data Factory did not answer: {type(e).__name__}.") from e
        if answer.status_code == 429 or answer.status_code >= 500:
            raise RemoteUnavailable(f"Data Factory answered {answer.status_code}.")
        if answer.status_code == 404:
            raise NotFound(f"Data Factory knows nothing at {path or 'this factory'}: {_reason(answer)}")
        if answer.status_code >= 400:
            raise ConfigurationError(
                f"Data Factory refused with {answer.status_code}: {_reason(answer)}",
                hint="Check ADF_* and the role of this system's identity on the factory.",
            )
        return cast("Json", answer.json())


def _run(row: Json) -> PipelineRun:
    return PipelineRun(
        run_id=str(row["runId"]),
        pipeline=str(row["pipelineName"]),
        status=RunStatus(str(row["status"])),
        message=cast("str | None", row.get("message")),
        parameters=cast("Json", row.get("parameters") or {}),
        started_at=cast("str | None", row.get("runStart")),
        ended_at=cast("str | None", row.get("runEnd")),
    )


def _reason(answer: httpx.Response) -> str:
    """What Azure says is wrong, without whatever else the body holds."""
    try:
        error = answer.json()["error"]
        return f"{error['code']}: {error['message']}"[:500]
    except (ValueError, KeyError, TypeError):
        return "no reason given"
