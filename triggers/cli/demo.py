"""The main job, start to end: upload, submit, watch, approve, and look at what was published."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from clients.python.geomachine_client import Client, ClientError, Submission, Submitted
from clients.python.geomachine_client.transport import Json
from core.contracts.storage import ObjectStorage
from core.errors import GeomachineError
from services import samples
from triggers.cli import following, pictures, uploads
from triggers.cli import links as addresses

_DATASET = "demo"
_REVIEWER = "demo reviewer"


@dataclass(frozen=True)
class Problem:
    """A file that was not published, and why."""

    file: str
    why: str


def run(client: Client, storage: ObjectStorage, console: Console, files: Sequence[Path], home: Path) -> bool:
    """Publish the files, or sample data when there are none; True when every one is published and its links answer.

    Pictures of rasters are kept under `home`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        chosen = list(files) or samples.make_samples(Path(scratch))
        submitted, problems = _submit(client, storage, console, chosen)
    statuses = following.follow(client, console, submitted)
    problems += [failure(submitted[i], s) for i, s in statuses.items() if s["job_status"] != "completed"]
    finished = {i: s for i, s in statuses.items() if s["job_status"] == "completed"}
    problems += _approve(client, console, submitted, finished)
    for request_id, status in finished.items():
        problems += _show(client, console, submitted[request_id], status)
        problems += _picture(console, submitted[request_id], status, home)
    for problem in problems:
        console.print(f"[red]✗ {escape(problem.file)}[/]: {escape(problem.why)}", soft_wrap=True)
    console.print(
        f"{len(chosen) - len({p.file for p in problems})} of {len(chosen)} datasets are published at {client.url}"
    )
    return not problems


def _submit(
    client: Client, storage: ObjectStorage, console: Console, files: Sequence[Path]
) -> tuple[dict[str, str], list[Problem]]:
    labels: dict[str, str] = {}
    problems = []
    for file in files:
        try:
            dataset = uploads.identified(file, _DATASET)
            name = uploads.upload(storage, dataset)
            answer = submit(client, dataset, name.container, name.path)
        except (GeomachineError, ClientError) as e:
            problems.append(Problem(file.name, str(e)))
            continue
        console.print(f"[green]✓[/] {escape(file.name)}: {answer.message}", highlight=False)
        labels[answer.request_id] = file.name
    return labels, problems


def submit(
    client: Client,
    dataset: uploads.Dataset,
    container: str,
    path: str,
    *,
    access_level: str = "public",
    overwrite: bool = False,
) -> Submitted:
    """POST one dataset to `/api/platform/submit`."""
    submission = Submission(
        dataset_id=dataset.dataset_id,
        resource_id=dataset.resource_id,
        version_id=dataset.version_id,
        container_name=container,
        file_name=path,
        title=dataset.file.stem,
        access_level=access_level,
        processing_options={"overwrite": True} if overwrite else {},
    )
    return client.submit(submission)


def failure(label: str, status: Json) -> Problem:
    """Why a job was not completed."""
    error = cast("dict[str, str | None] | None", status["job_error"]) or {}
    hint = f" {error['hint']}" if error.get("hint") else ""
    return Problem(label, f"{error.get('message') or status['job_status']}{hint} [{error.get('code')}]")


def _approve(client: Client, console: Console, labels: dict[str, str], finished: dict[str, Json]) -> list[Problem]:
    pending = {i: s for i, s in finished.items() if cast("Json", s["approval"])["status"] == "pending"}
    if not pending:
        return []
    columns = (Column(name, no_wrap=True) for name in ("approval", "dataset"))
    table = Table(*columns, title="Pending approvals", title_justify="left", box=SIMPLE)
    for request_id, status in pending.items():
        approval = cast("Json", status["approval"])
        table.add_row(str(approval["approval_id"]), labels[request_id])
    console.print(table)
    problems = []
    for request_id, status in pending.items():
        approval_id = str(cast("Json", status["approval"])["approval_id"])
        try:
            client.approve(approval_id, reviewer=_REVIEWER, notes="Looks right.")
        except (GeomachineError, ClientError) as e:
            problems.append(Problem(labels[request_id], f"could not be approved: {e}"))
    return problems


def _show(client: Client, console: Console, label: str, status: Json) -> list[Problem]:
    result = cast("Json", status["job_result"])
    console.rule(f"[bold]{escape(label)}", align="left")
    console.print(f"  {_size(result)}", highlight=False, soft_wrap=True)
    stages = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in following.seconds_by_stage(status).items())
    console.print(f"  {stages}", highlight=False)
    problems = []
    for name, url in links(status):
        good = addresses.answers(url)
        console.print(f"  {'[green]✓[/]' if good else '[red]✗[/]'} {name:<13} {url}", highlight=False, soft_wrap=True)
        if not good:
            problems.append(Problem(label, f"{url} does not answer."))
    return problems


def _picture(console: Console, label: str, status: Json, home: Path) -> list[Problem]:
    url = cast("dict[str, dict[str, str]]", status["data_access"]).get("titiler", {}).get("preview")
    if url is None:
        return []
    kept = pictures.keep(url, home, label)
    if kept is None:
        return [Problem(label, f"{url} brings no picture.")]
    console.print(f"  [green]✓[/] {'picture':<13} {escape(str(kept))}", highlight=False, soft_wrap=True)
    pictures.draw(console, kept)
    return []


def _size(result: Json) -> str:
    if "table_name" in result:
        rows = cast("Json", result["summary"])["total_rows_uploaded"]
        return f"{rows} rows in {result['schema']}.{result['table_name']}"
    validation = cast("dict[str, int]", result["validation"])
    width, height, bands = validation["width"], validation["height"], validation["band_count"]
    cog = cast("Json", result["cog"])
    return f"{width} x {height} pixels, {bands} band(s) in {cog['cog_container']}/{cog['cog_blob']}"


def links(status: Json) -> list[tuple[str, str]]:
    """The links worth opening, a tile filled in as the dataset's whole extent at zoom 0."""
    access = cast("dict[str, dict[str, str]]", status["data_access"])
    wanted = [("STAC item", "stac", "item")]
    if "titiler" in access:
        wanted += [
            ("COG preview", "titiler", "preview"),
            ("COG info", "titiler", "info"),
            ("COG tile", "titiler", "tiles"),
        ]
    else:
        wanted += [("OGC Features", "ogc_features", "items"), ("vector tile", "vector_tiles", "tiles")]
    return [(label, access[service][link].replace("{z}/{x}/{y}", "0/0/0")) for label, service, link in wanted]
