-- name: job
-- The current run of a job.
SELECT job_key, job_id, run, job_type, parameters, status, stage, total_stages, result, error_code, error_message, error_hint,
    submitted_by, correlation_id, created_at, started_at, finished_at, updated_at
FROM app.jobs WHERE job_id = %(job_id)s AND superseded_at IS NULL

-- name: jobs
-- The newest jobs, by status and type if asked.
SELECT job_key, job_id, run, job_type, parameters, status, stage, total_stages, result, error_code, error_message, error_hint,
    submitted_by, correlation_id, created_at, started_at, finished_at, updated_at
FROM app.jobs
WHERE superseded_at IS NULL AND (%(status)s::text IS NULL OR status = %(status)s::app.job_status)
    AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
ORDER BY job_key DESC LIMIT %(limit)s

-- name: stages
-- The stages of a job with their tasks counted by state. A pending task is queued, leased or waiting for its time.
SELECT s.stage, s.name, s.task_type, s.queue, s.status, s.expected, s.remaining, s.failed, s.started_at, s.finished_at,
    count(*) FILTER (WHERE t.status = 'completed') AS completed,
    count(*) FILTER (WHERE t.status = 'failed') AS failed_tasks,
    count(*) FILTER (WHERE t.status = 'cancelled') AS cancelled,
    count(*) FILTER (WHERE t.status = 'processing' OR (t.status = 'pending' AND q.worker IS NOT NULL)) AS processing,
    count(*) FILTER (WHERE t.status = 'pending' AND q.worker IS NULL AND q.failures > 0) AS pending_retry,
    count(*) FILTER (WHERE t.status = 'pending' AND q.worker IS NULL AND q.failures = 0) AS queued,
    max(t.progress) FILTER (WHERE t.status = 'processing') AS progress,
    max(t.progress_message) FILTER (WHERE t.status = 'processing') AS progress_message,
    min(q.visible_at) FILTER (WHERE q.worker IS NULL AND q.failures > 0) AS next_retry_at
FROM app.stages s
LEFT JOIN app.tasks t ON t.job_key = s.job_key AND t.stage = s.stage
LEFT JOIN app.queue q ON q.job_key = t.job_key AND q.stage = t.stage AND q.task_index = t.task_index
WHERE s.job_key = %(job_key)s GROUP BY s.job_key, s.stage ORDER BY s.stage

-- name: tasks
-- The tasks of a job, in order.
SELECT t.stage, t.task_index, t.task_key, t.task_type, t.status, t.attempt, t.error_code, t.error_message, t.progress,
    t.progress_message, t.worker, t.started_at, t.finished_at, t.duration_ms, q.worker AS leased_by, q.failures, q.visible_at
FROM app.tasks t LEFT JOIN app.queue q ON q.job_key = t.job_key AND q.stage = t.stage AND q.task_index = t.task_index
WHERE t.job_key = %(job_key)s ORDER BY t.stage, t.task_index LIMIT %(limit)s

-- name: events
-- The history of a job after an event, in order.
SELECT event_id, stage, task_index, attempt, event_type, event_status, checkpoint_name, error_code, error_message, worker,
    duration_ms, event_data, created_at
FROM app.job_events
WHERE job_key = %(job_key)s AND event_id > %(after)s
    AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s::app.job_event_type)
    AND (%(task_events)s OR task_index IS NULL)
ORDER BY event_id LIMIT %(limit)s

-- name: backlog
-- Open work by queue: how much waits, how much is leased, since when the oldest waits.
SELECT queue, count(*) FILTER (WHERE worker IS NULL) AS waiting, count(*) FILTER (WHERE worker IS NOT NULL) AS leased,
    extract(epoch FROM clock_timestamp() - min(visible_at) FILTER (WHERE worker IS NULL)) AS oldest_seconds
FROM app.queue GROUP BY queue ORDER BY queue

-- name: outbox_backlog
-- Side effects not delivered yet, and those given up.
SELECT count(*) FILTER (WHERE dead_at IS NULL) AS waiting, count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead
FROM app.outbox WHERE delivered_at IS NULL

-- name: versions
-- What the server is.
SELECT current_setting('server_version') AS postgresql, public.postgis_lib_version() AS postgis, pgstac.get_version() AS pgstac
