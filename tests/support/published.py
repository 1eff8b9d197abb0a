"""Files through the public API in this process: uploaded, submitted, run, approved, and seen over HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi.testclient import TestClient

from core.contracts.storage import BlobName
from tests.support.api import Api, serve
from triggers.http.service import create_service


@dataclass
class Platform:
    """The whole service; `public` is a caller without a key."""

    api: Api
    public: TestClient
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def upload(self, path: Path, name: str | None = None, container: str = "bronze-rasters") -> BlobName:
        """A file, or every file of a folder."""
        blob = BlobName(container, name or path.name)
        if path.is_dir():
            for part in sorted(p for p in path.rglob("*") if p.is_file()):
                self.api.runtime.storage.upload(part, BlobName(container, f"{blob.path}/{part.relative_to(path)}"))
        else:
            self.api.runtime.storage.upload(path, blob)
        return blob

    def submit(self, blob: BlobName, *, options: dict | None = None, **changes: object):
        """The answer of `/api/platform/submit`."""
        body = {
            "dataset_id": f"data-{next(self._numbers)}",
            "resource_id": "r",
            "version_id": "v1",
            "container_name": blob.container,
            "file_name": blob.path,
            "access_level": "public",
            "processing_options": options or {},
            **changes,
        }
        return self.api.of("ann").post("/api/platform/submit", json=body)

    def process(self, path: Path, *, options: dict | None = None, **changes: object) -> dict:
        """Submit and run; the status at the end."""
        answer = self.submit(self.upload(path), options=options, **changes)
        assert answer.status_code == 202, answer.text
        while self.api.drain():  # it stops looking after a minute, between tasks
            pass
        return self.api.get(f"/api/platform/status/{answer.json()['request_id']}", caller="ann")

    def approve(self, status: dict) -> None:
        """Publish what a job made."""
        approval = status["approval"]["approval_id"]
        answer = self.api.of("rex").post(f"/api/approvals/{approval}/approve", json={"notes": "seen"})
        assert answer.status_code == 200, answer.text

    def item(self, status: dict) -> dict:
        """The published item, as anybody sees it."""
        stac = status["job_result"]["stac"]
        answer = self.public.get(f"/api/stac/collections/{stac['collection_id']}/items/{stac['item_id']}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def publish(self, path: Path, *, options: dict | None = None, **changes: object) -> dict:
        """All of it; the item."""
        status = self.process(path, options=options, **changes)
        assert status["job_status"] == "completed", status["job_error"]
        self.approve(status)
        return self.item(status)

    def left_behind(self) -> dict[str, int]:
        """What a refused file must not leave: outputs, catalogue rows, work directories."""
        storage, home = self.api.runtime.storage, self.api.runtime.settings.app.home
        [(rows,)] = self.api.query(
            "SELECT (SELECT count(*) FROM app.cog_metadata) + (SELECT count(*) FROM pgstac.items)"
            " + (SELECT count(*) FROM app.dataset_refs) + (SELECT count(*) FROM pgstac.collections)"
        )
        scratch = home / "scratch"
        return {
            "blobs": len(list(storage.list("silver-cogs"))),
            "rows": rows,
            "workdirs": len(list(scratch.rglob("*"))) if scratch.exists() else 0,
        }


@contextmanager
def platform(db: str, home: Path, **settings: object) -> Iterator[Platform]:
    """The service on a database, with other settings where given."""
    with (
        serve(db, home, **settings) as api,
        TestClient(create_service(api.runtime), base_url="http://geo.example") as public,
    ):
        yield Platform(api, public)
