-- name: groups
-- Letters by what their errors have in common, the latest first; the newest letter of each as an example.
SELECT g.fingerprint, g.count, g.jobs, g.first_seen, g.last_seen, d.dead_letter_id AS example_id, d.kind, d.cause, d.state,
    d.error_code, d.error_message, d.job_type, d.task_type
FROM (
    SELECT fingerprint, count(*) AS count, count(DISTINCT job_key) AS jobs, min(created_at) AS first_seen, max(created_at) AS last_seen,
        max(dead_letter_id) AS example_id
    FROM app.dead_letters WHERE true {conditions} GROUP BY fingerprint
) g JOIN app.dead_letters d ON d.dead_letter_id = g.example_id
WHERE %(before)s::bigint IS NULL OR g.example_id < %(before)s
ORDER BY g.example_id DESC LIMIT %(limit)s

-- name: letters
-- Letters, newest first; the conditions are the blocks asked for.
SELECT dead_letter_id, kind, cause, state, fingerprint, error_code, error_message, queue, job_key, job_id, job_type, stage, task_index,
    task_type, outbox_id, payload, created_at, resolved_at, resolved_by, resolution
FROM app.dead_letters
WHERE (%(before)s::bigint IS NULL OR dead_letter_id < %(before)s) {conditions}
ORDER BY dead_letter_id DESC LIMIT %(limit)s

-- name: with_state
-- About which this was decided.
AND state = %(state)s::app.dead_letter_state

-- name: with_kind
-- Of this kind.
AND kind = %(kind)s::app.dead_letter_kind

-- name: with_cause
-- Dead of this cause.
AND cause = %(cause)s::app.dead_letter_cause

-- name: with_error_code
-- With this error.
AND error_code = %(error_code)s

-- name: with_job_type
-- From jobs of this type.
AND job_type = %(job_type)s

-- name: with_fingerprint
-- With errors like this one.
AND fingerprint = %(fingerprint)s

-- name: letter
-- One letter.
SELECT dead_letter_id, kind, cause, state, fingerprint, error_code, error_message, queue, job_key, job_id, job_type, stage, task_index,
    task_type, outbox_id, payload, created_at, resolved_at, resolved_by, resolution
FROM app.dead_letters WHERE dead_letter_id = %(dead_letter_id)s

-- name: lock_letter
-- One letter, held until the transaction ends.
SELECT dead_letter_id, kind, cause, state, fingerprint, error_code, error_message, queue, job_key, job_id, job_type, stage, task_index,
    task_type, outbox_id, payload, created_at, resolved_at, resolved_by, resolution
FROM app.dead_letters WHERE dead_letter_id = %(dead_letter_id)s FOR UPDATE

-- name: error_history
-- Every failed attempt at a task.
SELECT error_history FROM app.tasks WHERE job_key = %(job_key)s AND stage = %(stage)s AND task_index = %(task_index)s

-- name: events_of_task
-- What happened to a task last, but for its completion; for a letter without a task, to the job.
SELECT event_id, stage, task_index, attempt, event_type, event_status, checkpoint_name, error_code, error_message, worker,
    duration_ms, event_data, created_at
FROM app.job_events
WHERE job_key = %(job_key)s AND event_type <> 'task_completed' AND task_index IS NOT DISTINCT FROM %(task_index)s::int
    AND (%(stage)s::int IS NULL OR stage = %(stage)s)
ORDER BY event_id DESC LIMIT 20

-- name: edit
-- Give a letter other parameters.
UPDATE app.dead_letters SET payload = %(payload)s::jsonb WHERE dead_letter_id = %(dead_letter_id)s

-- name: redrive
-- Run it again; redriven, running, superseded or resolved.
SELECT app.redrive(%(dead_letter_id)s, %(by)s)

-- name: discard
-- Let it go, with the reason.
UPDATE app.dead_letters SET state = 'discarded', resolved_at = clock_timestamp(), resolved_by = %(by)s, resolution = %(reason)s
WHERE dead_letter_id = %(dead_letter_id)s AND state = 'open'

-- name: open_ids
-- Open letters, oldest first.
SELECT dead_letter_id FROM app.dead_letters WHERE state = 'open' {conditions} ORDER BY dead_letter_id LIMIT %(limit)s

-- name: resolve_run
-- A job that is run again from the start does its dead tasks again, too.
UPDATE app.dead_letters SET state = 'redriven', resolved_at = clock_timestamp(), resolved_by = %(by)s, resolution = %(resolution)s
WHERE job_key = %(job_key)s AND kind = 'task' AND state = 'open'
