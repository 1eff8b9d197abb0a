-- name: job
-- The current run of a job, or the run asked for.
SELECT job_key, job_id, run, job_type, parameters, status, stage, total_stages, result, error_code, error_message, error_hint,
    submitted_by, correlation_id, created_at, started_at, finished_at, updated_at, superseded_at
FROM app.jobs
WHERE job_id = %(job_id)s AND CASE WHEN %(run)s::int IS NULL THEN superseded_at IS NULL ELSE run = %(run)s END

-- name: status_of
-- How one run is.
SELECT status FROM app.jobs WHERE job_key = %(job_key)s

-- name: statuses
-- How the current runs of some jobs are.
SELECT job_id, status::text FROM app.jobs WHERE job_id = ANY (%(job_ids)s::text[]) AND superseded_at IS NULL

-- name: asked_for
-- Whether a client has a request that this job carries out.
SELECT EXISTS (SELECT FROM app.api_requests WHERE job_id = %(job_id)s AND client_id = %(client_id)s)

-- name: runs
-- Every run of a piece of work, newest first.
SELECT job_key, job_id, run, job_type, status, stage, total_stages, error_code, error_message, submitted_by, created_at, started_at,
    finished_at, superseded_at
FROM app.jobs WHERE job_id = %(job_id)s ORDER BY run DESC LIMIT %(limit)s

-- name: jobs
-- Current runs, newest first; the conditions are the jobs_* blocks asked for, each with an index that serves it in this order.
SELECT job_key, job_id, run, job_type, status, stage, total_stages, error_code, error_message, submitted_by, created_at, started_at,
    finished_at, superseded_at
FROM app.jobs WHERE superseded_at IS NULL {conditions}
ORDER BY created_at DESC, job_key DESC LIMIT %(limit)s

-- name: jobs_before
-- Of the pages after this position.
AND (created_at, job_key) < (%(before_at)s, %(before_key)s)

-- name: jobs_status
-- In this state.
AND status = %(status)s::app.job_status

-- name: jobs_job_type
-- Of this type.
AND job_type = %(job_type)s

-- name: jobs_submitted_by
-- Of this caller.
AND submitted_by = %(submitted_by)s

-- name: jobs_created_after
-- Not older.
AND created_at >= %(created_after)s

-- name: jobs_created_before
-- Older.
AND created_at < %(created_before)s

-- name: jobs_q
-- Whose id begins so; `g` follows every hex digit, whatever the collation.
AND job_id >= %(q)s AND job_id < %(q)s || 'g'

-- name: stages
-- The stages of a job. Finished tasks are counted by the stage itself; those at work are looked for among the first thousand
-- open items, because work is claimed in that order and a stage may have a million.
SELECT s.stage, s.name, s.task_type, s.queue, s.status, s.expected, s.remaining, s.failed, s.started_at, s.finished_at,
    s.expected - s.remaining - f.counted AS completed, s.failed AS failed_tasks,
    CASE WHEN s.status IN ('failed', 'cancelled') THEN s.remaining - s.failed + f.counted ELSE 0 END AS cancelled,
    coalesce(o.processing, 0) AS processing, coalesce(o.pending_retry, 0) AS pending_retry,
    CASE WHEN s.status = 'processing' THEN greatest(s.remaining - coalesce(o.processing + o.pending_retry, 0), 0) ELSE 0 END AS queued,
    coalesce(o.running, 0) AS running, o.progress, o.progress_message, o.next_retry_at
FROM app.stages s
-- Under fail_fast a failure ends the stage without being counted off.
CROSS JOIN LATERAL (SELECT CASE WHEN s.on_failure = 'fail_fast' THEN 0 ELSE s.failed END AS counted) f
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE q.worker IS NOT NULL) AS processing,
        count(*) FILTER (WHERE q.worker IS NULL AND q.failures > 0) AS pending_retry,
        min(q.visible_at) FILTER (WHERE q.worker IS NULL AND q.failures > 0) AS next_retry_at,
        max(t.progress) AS progress, sum(t.progress) / 100 AS running,
        (array_agg(t.progress_message ORDER BY t.progress DESC NULLS LAST))[1] AS progress_message
    FROM (
        SELECT i.* FROM app.queue i WHERE i.job_key = s.job_key AND i.stage = s.stage AND i.task_index >= 0
        ORDER BY i.task_index LIMIT 1000
    ) q
    LEFT JOIN LATERAL ( -- only heavy tasks report; the limit keeps the planner from reading every task
        SELECT i.progress, i.progress_message FROM app.tasks i
        WHERE q.heavy AND q.worker IS NOT NULL AND i.status = 'processing'
            AND i.job_key = q.job_key AND i.stage = q.stage AND i.task_index = q.task_index
        LIMIT 1
    ) t ON true
) o ON s.status = 'processing'
WHERE s.job_key = %(job_key)s ORDER BY s.stage

-- name: tasks
-- Tasks of a job in order; the conditions are the tasks_* blocks asked for. A light task tells only when it ended and how long it took.
SELECT t.stage, t.task_index, t.task_key, t.task_type, t.status, t.attempt, t.error_code, t.error_message, t.progress,
    t.progress_message, t.checkpoint_phase, t.worker,
    coalesce(t.started_at, t.finished_at - t.duration_ms * interval '1 millisecond') AS started_at, t.finished_at, t.duration_ms,
    q.queue, q.worker AS leased_by, q.attempt AS held_attempt, q.failures, q.visible_at, q.visible_at <= clock_timestamp() AS is_due,
    (SELECT s.started_at FROM app.stages s WHERE s.job_key = t.job_key AND s.stage = t.stage) AS created_at
FROM app.tasks t LEFT JOIN app.queue q ON q.job_key = t.job_key AND q.stage = t.stage AND q.task_index = t.task_index
WHERE t.job_key = %(job_key)s {conditions}
ORDER BY t.stage, t.task_index LIMIT %(limit)s

-- name: tasks_after
-- Of the pages after this position.
AND (t.stage, t.task_index) > (%(after_stage)s, %(after_index)s)

-- name: tasks_stage
-- Of this stage.
AND t.stage = %(stage)s

-- name: tasks_worker
-- Held or last touched by this worker.
AND (q.worker = %(worker)s OR t.worker = %(worker)s)

-- name: tasks_error_code
-- Whose latest failed attempt ended so; their events are fewer than the tasks.
AND t.error_code = %(error_code)s AND (t.stage, t.task_index) IN (
    SELECT e.stage, e.task_index FROM app.job_events e
    WHERE e.job_key = %(job_key)s AND e.event_type <> 'task_completed' AND e.error_code = %(error_code)s
)

-- name: tasks_queued
-- Claimable for the first time.
AND t.status = 'pending' AND q.worker IS NULL AND q.failures = 0

-- name: tasks_pending_retry
-- Waiting to be tried again.
AND t.status = 'pending' AND q.worker IS NULL AND q.failures > 0

-- name: tasks_processing
-- Held by a worker.
AND t.status IN ('pending', 'processing') AND q.worker IS NOT NULL

-- name: tasks_completed
-- Done.
AND t.status = 'completed'

-- name: tasks_failed
-- Given up; their events are fewer than the tasks.
AND t.status = 'failed' AND (t.stage, t.task_index) IN (
    SELECT e.stage, e.task_index FROM app.job_events e WHERE e.job_key = %(job_key)s AND e.event_type = 'task_failed'
)

-- name: tasks_cancelled
-- Ended with their job.
AND t.status = 'cancelled'

-- name: open_item
-- The most telling piece of open work of a job, of its first thousand, and how many claimable items lie before it, up to 10,000.
SELECT o.state, o.queue, o.stage, o.task_index, o.failures, o.worker, o.visible_at, t.started_at, t.error_code,
    CASE WHEN o.state = 'due' THEN (
        SELECT count(*) FROM (
            SELECT FROM app.queue b
            WHERE b.queue = o.queue AND b.heavy = ANY (CASE WHEN o.heavy THEN ARRAY[false, true] ELSE ARRAY[false] END)
                AND b.queue_id < o.queue_id AND b.worker IS NULL AND b.visible_at <= clock_timestamp()
            LIMIT 10000
        ) before
    ) ELSE 0 END AS ahead
FROM (
    SELECT i.*, (ARRAY['running', 'expired', 'due', 'later'])[i.rank] AS state
    FROM (
        SELECT q.*, CASE WHEN q.worker IS NULL THEN 3 ELSE 1 END
            + ((q.visible_at <= clock_timestamp()) = (q.worker IS NOT NULL))::int AS rank
        FROM app.queue q WHERE q.job_key = %(job_key)s ORDER BY q.stage, q.task_index LIMIT 1000
    ) i
    ORDER BY i.rank, CASE WHEN i.rank = 4 THEN i.visible_at END, i.queue_id LIMIT 1
) o
LEFT JOIN app.tasks t ON t.job_key = %(job_key)s AND t.stage = o.stage AND t.task_index = o.task_index

-- name: clock
-- The database's time.
SELECT clock_timestamp()

-- name: backlog
-- Open work by queue: how much waits, how much is leased, since when the oldest waits.
SELECT queue, count(*) FILTER (WHERE worker IS NULL) AS waiting, count(*) FILTER (WHERE worker IS NOT NULL) AS leased,
    extract(epoch FROM clock_timestamp() - min(visible_at) FILTER (WHERE worker IS NULL)) AS oldest_seconds
FROM app.queue GROUP BY queue ORDER BY queue

-- name: leases
-- What is being worked on, by how many workers, and what workers have left.
SELECT count(*) FILTER (WHERE visible_at > clock_timestamp()) AS leased, count(*) FILTER (WHERE visible_at <= clock_timestamp()) AS expired,
    count(DISTINCT worker) AS workers
FROM app.queue WHERE worker IS NOT NULL

-- name: outbox_backlog
-- Side effects not delivered yet, and those given up.
SELECT count(*) FILTER (WHERE dead_at IS NULL) AS waiting, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead
FROM app.outbox WHERE delivered_at IS NULL

-- name: machine_standing
-- Jobs that nothing would move, what waits for a person, and when the janitor last mended something.
SELECT (SELECT count(*) FROM app.stranded_jobs) AS stranded_jobs,
    (SELECT count(*) FROM app.dead_letters WHERE state = 'open') AS dead_letters,
    (SELECT started_at FROM app.janitor_runs ORDER BY started_at DESC LIMIT 1) AS last_mended_at

-- name: versions
-- What the server is, and whether our schema is there.
SELECT current_setting('server_version') AS postgresql, (SELECT extversion FROM pg_extension WHERE extname = 'postgis') AS postgis,
    to_regclass('app.jobs') IS NOT NULL AS has_schema
