"""What must be true of the rows when the storm is over, each rule told as a sentence when it is broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from tests.chaos.shapes import Expected, expected, shape

Query = Callable[..., list[tuple]]

#: Every committed write of a task's effect leaves a row here; the write itself can be repeated without a trace.
WATCH_EFFECTS = """
CREATE TABLE public.effects_seen (cog_id text NOT NULL);
CREATE FUNCTION public.see_effect() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.effects_seen VALUES (NEW.cog_id); RETURN NULL; END';
CREATE TRIGGER see_effect AFTER INSERT OR UPDATE ON app.cog_metadata FOR EACH ROW EXECUTE FUNCTION public.see_effect();
"""

_STRUCTURE = {
    "a job is stranded": "SELECT job_key FROM app.stranded_jobs",
    "open work is left over": "SELECT job_key, stage, task_index, worker, attempt, losses FROM app.queue",
    "a job has not ended": "SELECT job_id, status, stage FROM app.jobs WHERE finished_at IS NULL",
    "a counter is not its tasks": """
        SELECT s.job_key, s.stage, s.status, s.expected, s.remaining, s.failed, t.* FROM app.stages s, LATERAL (
            SELECT count(*) AS n, count(*) FILTER (WHERE status = 'completed') AS good,
                count(*) FILTER (WHERE status = 'failed') AS bad,
                count(*) FILTER (WHERE status IN ('pending', 'processing')) AS open
            FROM app.tasks t WHERE t.job_key = s.job_key AND t.stage = s.stage) t
        WHERE t.n <> s.expected OR t.bad <> s.failed OR t.open > 0
            OR s.remaining <> CASE WHEN s.on_failure = 'fail_fast' AND t.bad > 0 THEN t.n - t.good ELSE 0 END""",
    "an ending is not told exactly once": """
        SELECT j.job_key, j.status, count(e.event_id) FROM app.jobs j LEFT JOIN app.job_events e
            ON e.job_key = j.job_key AND e.event_type IN ('job_completed', 'job_failed', 'job_cancelled')
        GROUP BY j.job_key HAVING count(e.event_id) <> 1""",
    "a stage does not begin and end exactly once": """
        SELECT s.job_key, s.stage, s.remaining, e.* FROM app.stages s, LATERAL (
            SELECT count(*) FILTER (WHERE event_type = 'stage_started') AS begun,
                count(*) FILTER (WHERE event_type = 'stage_completed') AS ended
            FROM app.job_events e WHERE e.job_key = s.job_key AND e.stage = s.stage) e
        WHERE e.begun <> 1 OR e.ended <> CASE WHEN s.remaining = 0 THEN 1 ELSE 0 END""",
    "a task does not end exactly once": """
        SELECT t.job_key, t.stage, t.task_index, t.status, e.* FROM app.tasks t JOIN LATERAL (
            SELECT count(*) FILTER (WHERE event_type = 'task_completed') AS good,
                count(*) FILTER (WHERE event_type = 'task_failed') AS bad
            FROM app.job_events e WHERE e.job_key = t.job_key AND e.stage = t.stage AND e.task_index = t.task_index) e
            ON e.good <> (t.status = 'completed')::int OR e.bad <> (t.status = 'failed')::int""",
    "something failed that may not": """
        SELECT cause, error_code, error_message, job_key, stage, task_index, payload ->> 'fate' FROM app.dead_letters
        WHERE cause <> 'permanent' OR payload ->> 'fate' IS DISTINCT FROM 'permanent'""",
    "the janitor mended what never breaks": "SELECT run_type, actions FROM app.janitor_runs WHERE run_type <> 'leases'",
}


def broken_rules(query: Query, seed: int, widest: int, told: dict[int, str]) -> list[str]:
    """Every rule that is broken, with the first rows that break it."""
    found = []
    for sentence, sql in _STRUCTURE.items():
        rows = query(sql)
        if rows:
            found.append(f"{sentence}: {len(rows)} rows, {rows[:3]}")
    found += _lost_jobs(query, told)
    found += _wrong_results(query, seed, widest)
    found += _wrong_effects(query)
    return found


def _lost_jobs(query: Query, told: dict[int, str]) -> Iterator[str]:
    rows = query("SELECT (parameters ->> 'number')::int, job_id FROM app.jobs WHERE superseded_at IS NULL")
    kept = dict(rows)
    if len(kept) != len(rows):
        yield "a job exists twice"
    if kept != told:
        yield f"what was accepted is not what is there: {sorted(kept.items() ^ told.items())[:4]}"


def _wrong_results(query: Query, seed: int, widest: int) -> Iterator[str]:
    """Every run, also one that a repeated submit of a failed job began, is what a sequential run makes."""
    tasks: dict[int, dict[tuple[int, int], tuple[str, object]]] = defaultdict(dict)
    for key, stage, index, status, result in query("SELECT job_key, stage, task_index, status, result FROM app.tasks"):
        tasks[key][stage, index] = (status, result)
    rows = query("SELECT job_key, (parameters ->> 'number')::int, status, error_code, result FROM app.jobs")
    for key, number, status, code, result in rows:
        job = shape(seed, number, widest)
        should = expected(job)
        if (status, code, result) != (should.status, should.error_code, should.result):
            yield f"job {number} ended as {status}, {code}, {result}; a sequential run as {should}"
        problem = _wrong_tasks(tasks[key], should, exact=job.policy != "fail_fast" or status != "failed")
        if problem:
            yield f"job {number}: {problem}"


def _wrong_tasks(tasks: dict[tuple[int, int], tuple[str, object]], should: Expected, *, exact: bool) -> str | None:
    if tasks.keys() != should.tasks.keys():
        return f"its tasks are not those of a sequential run: {sorted(tasks.keys() ^ should.tasks.keys())[:4]}"
    for key, (status, result) in tasks.items():
        value = should.tasks[key]
        allowed = {"failed"} if value is None else {"completed"}
        if not exact and key[0] == max(tasks)[0]:
            allowed.add("cancelled")
        if status not in allowed or (status == "completed" and result != {"value": value}):
            return f"task {key} is {status} with {result}, should be {allowed} with {value}"
    return None


def _wrong_effects(query: Query) -> Iterator[str]:
    seen = Counter(name for (name,) in query("SELECT cog_id FROM public.effects_seen"))
    done = Counter(
        name
        for (name,) in query(
            "SELECT concat_ws('-', parameters ->> 'number', stage, task_index) FROM app.tasks"
            " WHERE status = 'completed' AND parameters ->> 'fate' = 'effect'"
        )
    )
    if seen != done:
        yield f"effects are not those of completed tasks: {list((seen - done) | (done - seen))[:4]}"
