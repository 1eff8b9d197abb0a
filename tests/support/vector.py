"""The vector stages run one after another as the machine would, without the machine."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from psycopg_pool import ConnectionPool
from pydantic import BaseModel, JsonValue

from core.contracts.effects import Effect, UpsertStacItem
from core.contracts.jobs import StageResults
from core.contracts.storage import BlobName
from core.contracts.vector import ProcessVectorParameters, VectorProcessed
from core.contracts.vector_formats import EXTENSIONS
from core.contracts.vector_results import VectorJobResult
from infrastructure.postgres.effects import apply
from infrastructure.postgres.feature_tables import PostgresFeatureTables
from infrastructure.storage.local import LocalStorage
from jobs.process_vector import JOB
from services.vector import handlers

CONTAINER = "bronze-vectors"
HANDLERS = {
    "process_vector_prepare": handlers.prepare,
    "process_vector_upload": handlers.upload,
    "vector_create_stac": handlers.create_stac,
}


def geojson(folder: Path, *features: tuple[object, dict], name: str = "f.geojson") -> Path:
    path = folder / name
    listed = [{"type": "Feature", "geometry": g, "properties": p} for g, p in features]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": listed}))
    return path


def point(x: float = 30, y: float = -2) -> dict:
    return {"type": "Point", "coordinates": [x, y]}


class NoCheckpoint:
    """Vector stages keep none."""

    data: Mapping[str, JsonValue] = {}

    def should_skip(self, phase: int) -> bool:
        return False

    def save_and_stop_if_requested(self, phase: int, data: Mapping[str, JsonValue]) -> None:
        pass


@dataclass
class Context:
    """One attempt, with its effects in a list."""

    workdir: Path
    storage: LocalStorage
    tables: PostgresFeatureTables
    job_id: str
    attempt: int = 1
    job_type: str = JOB.name
    task_id: str = "task"
    checkpoint: NoCheckpoint = field(default_factory=NoCheckpoint)
    effects: list[Effect] = field(default_factory=list)
    stopping: bool = False
    progress: list[tuple[float, str]] = field(default_factory=list)

    def should_stop(self) -> bool:
        return self.stopping

    def report_progress(self, percent: float, message: str) -> None:
        self.progress.append((percent, message))

    def commit_with(self, effect: Effect) -> None:
        self.effects.append(effect)


@dataclass
class Finished:
    """A job that ran to its end."""

    result: VectorJobResult
    item: Mapping[str, JsonValue]


class VectorRig:
    """Runs `process_vector` on files."""

    def __init__(self, conninfo: str, folder: Path) -> None:
        self.conninfo, self.folder = conninfo, folder
        self.storage = LocalStorage(folder / "blobs")
        self.pool = ConnectionPool(conninfo, kwargs={"autocommit": True}, min_size=1, max_size=4, open=True)
        self.tables = PostgresFeatureTables(self.pool)
        self._numbers = itertools.count(1)

    def close(self) -> None:
        self.pool.close()

    def put(self, path: Path, name: str | None = None, container: str = CONTAINER) -> str:
        """Upload a file; a shapefile's siblings with it."""
        name = name or path.name
        for part in path.parent.glob(f"{path.stem}.*") if path.suffix == ".shp" else [path]:
            self.storage.upload(part, BlobName(container, str(Path(name).with_suffix(part.suffix))))
        return name

    def parameters(self, blob: str, **options: object) -> ProcessVectorParameters:
        extension = "gdb" if blob.endswith(".gdb.zip") else Path(blob).suffix.lstrip(".").lower()
        defaults: dict[str, object] = {
            "blob_name": blob,
            "file_extension": extension if extension in EXTENSIONS else "geojson",
            "table_name": "t",
            "access_level": "public",
        }
        return ProcessVectorParameters.model_validate(defaults | options)

    def context(self, attempt: int = 1, job_id: str | None = None) -> Context:
        number = next(self._numbers)
        workdir = self.folder / f"work{number}"
        workdir.mkdir()
        return Context(workdir, self.storage, self.tables, job_id or f"{number:064x}", attempt)

    def stage(self, number: int, parameters: ProcessVectorParameters, done: dict, context: Context) -> None:
        """Run one stage and, in one transaction, its effects."""
        stage = JOB.stage(number)
        done[stage.name] = self.handled(number, parameters, done, context)
        self.commit(context)

    def handled(self, number: int, parameters: ProcessVectorParameters, done: dict, context: Context) -> dict:
        """What the tasks of a stage answer, by key; their effects are in the context."""
        stage = JOB.stage(number)
        before = StageResults({k: v for k, v in done.items() if k != stage.name})
        outputs = {}
        for spec in list(stage.plan(parameters, before)):
            task_input = stage.task.input.model_validate(self.stored(spec.parameters))
            output = HANDLERS[stage.task.name](task_input, context)
            outputs[spec.key] = stage.task.output.model_validate(self.stored(output))
        return outputs

    def stored(self, model: BaseModel) -> object:
        """A model as it comes back from the database, which keeps no order of keys."""
        return self.query("select %s::jsonb", model.model_dump_json())[0][0]

    def commit(self, context: Context) -> None:
        """Write the effects of a context in one transaction."""
        with self.pool.connection() as conn, conn.transaction():
            for effect in context.effects:
                apply(conn, effect)

    def run(self, parameters: ProcessVectorParameters, job_id: str | None = None) -> Finished:
        """All stages and the job's result."""
        job_id = job_id or f"{next(self._numbers):064x}"
        done: dict = {}
        for number in range(1, len(JOB.stages) + 1):
            context = self.context(job_id=job_id)
            self.stage(number, parameters, done, context)
        item = next(e.item for e in context.effects if isinstance(e, UpsertStacItem))
        return Finished(JOB.finalize(parameters, StageResults(done)), item)

    def run_as_one_task(self, parameters: ProcessVectorParameters) -> VectorProcessed:
        """What `process_vector_docker` does."""
        context = self.context()
        done = handlers.process(parameters, context)
        self.commit(context)
        return done

    def load(self, path: Path, **options: object) -> Finished:
        """Upload a file and run the job on it."""
        return self.run(self.parameters(self.put(path), **options))

    def query(self, statement: str, *values: object) -> list[tuple]:
        with self.pool.connection() as conn:
            cursor = conn.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []
