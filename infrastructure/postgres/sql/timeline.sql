-- name: horizon
-- Every event written before this moment can be seen from now on. Numbers are given before transactions commit, so an event may
-- appear behind a later one; a page that ended there would miss it. Writers of events hold this lock until they commit.
SELECT least(min(a.xact_start), clock_timestamp())
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.relation = 'app.job_events'::regclass AND l.mode = 'RowExclusiveLock' AND a.datname = current_database()

-- name: events
-- Events of a job; the conditions are the events_* blocks asked for.
SELECT event_id, stage, task_index, attempt, event_type, event_status, checkpoint_name, error_code, error_message, worker,
    duration_ms, event_data, created_at
FROM app.job_events WHERE job_key = %(job_key)s {conditions}
ORDER BY event_id {direction} LIMIT %(limit)s

-- name: events_settled
-- Before which nothing can appear any more.
AND created_at < %(horizon)s

-- name: events_after
-- Later ones.
AND event_id > %(position)s

-- name: events_before
-- Earlier ones.
AND event_id < %(position)s

-- name: events_event_type
-- Of this type.
AND event_type = %(event_type)s::app.job_event_type

-- name: events_event_statuses
-- Of these statuses.
AND event_status = ANY (%(event_statuses)s::app.job_event_status[])

-- name: events_stage
-- Of this stage.
AND stage = %(stage)s

-- name: events_task_index
-- Of the tasks with this index.
AND task_index = %(task_index)s

-- name: events_since
-- Not older.
AND created_at >= %(since)s

-- name: events_of_job
-- About the job and its stages only; written so that the index of untypical events serves it.
AND task_index IS NULL AND event_type <> 'task_completed'

-- name: events_untypical
-- Not the completions that most of a large job's history is.
AND event_type <> 'task_completed'

-- name: ascending
-- Oldest first.
ASC

-- name: descending
-- Newest first.
DESC

-- name: counts
-- Events of a job by type and status. Completions of tasks are counted by their stages: there may be a million.
SELECT event_type, event_status, count(*), min(created_at), max(created_at)
FROM app.job_events WHERE job_key = %(job_key)s AND event_type <> 'task_completed'
GROUP BY event_type, event_status
UNION ALL
SELECT 'task_completed', 'success', sum(c.completed), min(c.started_at), NULL
FROM (
    -- A run that retries another starts with copies of what had succeeded there, which has no events here.
    SELECT s.expected - s.remaining - CASE WHEN s.on_failure = 'fail_fast' THEN 0 ELSE s.failed END
        - CASE WHEN s.stage < r.stage THEN s.expected WHEN s.stage = r.stage THEN s.expected - r.reopened ELSE 0 END AS completed,
        s.started_at
    FROM app.stages s
    LEFT JOIN (
        SELECT e.stage, (e.event_data ->> 'reopened')::int AS reopened FROM app.job_events e
        WHERE e.job_key = %(job_key)s AND e.task_index IS NULL AND e.event_type = 'job_created' AND e.event_data ? 'retry_of'
    ) r ON true
    WHERE s.job_key = %(job_key)s
) c HAVING sum(c.completed) > 0
ORDER BY 1, 2

-- name: failures
-- The latest bad ends in a job's history, newest first.
SELECT event_id, stage, task_index, attempt, event_type, event_status, checkpoint_name, error_code, error_message, worker,
    duration_ms, event_data, created_at
FROM app.job_events
WHERE job_key = %(job_key)s AND event_type <> 'task_completed' AND event_status = 'failure'
ORDER BY event_id DESC LIMIT 5

-- name: attempts
-- What happened to some tasks besides completing, in order.
SELECT e.stage, e.task_index, e.event_id, e.attempt, e.event_type, e.checkpoint_name, e.error_code, e.error_message, e.worker,
    e.created_at
FROM unnest(%(stages)s::int[], %(indexes)s::int[]) AS t (stage, task_index)
JOIN app.job_events e ON e.job_key = %(job_key)s AND e.task_index = t.task_index AND e.stage = t.stage
    AND e.event_type <> 'task_completed'
ORDER BY e.stage, e.task_index, e.event_id
