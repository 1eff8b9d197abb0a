-- name: submit_job
-- Accept a job with its first stage.
SELECT job_key, created, run FROM app.submit_job(
    %(job_id)s, %(job_type)s, %(parameters)s::jsonb, %(total_stages)s, %(submitted_by)s, %(correlation_id)s,
    %(callbacks)s::text[], %(rerun)s, %(name)s, %(task_type)s, %(queue)s, %(heavy)s, %(max_failures)s, %(on_failure)s,
    %(keys)s::text[], %(stage_parameters)s::text[]
)

-- name: step
-- One worker cycle: complete, claim, count down.
SELECT * FROM app.step(
    %(worker)s, %(queues)s::text[], %(limit)s, %(lease)s,
    %(queue_ids)s::bigint[], %(attempts)s::int[], %(results)s::text[], %(durations)s::int[]
)

-- name: complete_one
-- Complete a heavy task in the open transaction; the advance item it leaves.
SELECT * FROM app.complete_one(%(worker)s, %(lease)s, %(queue_id)s, %(attempt)s, %(result)s, %(duration)s)

-- name: fail_task
-- Record a failed attempt; retrying, failed or stale.
SELECT app.fail_task(
    %(worker)s, %(queue_id)s, %(attempt)s, %(kind)s, %(code)s, %(message)s, %(hint)s, %(delay)s
)

-- name: release_task
-- Give an unfinished task back.
SELECT app.release_task(%(worker)s, %(queue_id)s, %(attempt)s)

-- name: renew
-- Extend leases still held; returns the items that are.
UPDATE app.queue q SET visible_at = clock_timestamp() + %(lease)s * interval '1 second'
FROM unnest(%(queue_ids)s::bigint[], %(attempts)s::int[]) AS d (queue_id, attempt)
WHERE q.queue_id = d.queue_id AND q.attempt = d.attempt AND q.worker = %(worker)s
RETURNING q.queue_id

-- name: report_progress
-- Show how far a heavy task is, if the attempt still holds it.
UPDATE app.tasks t SET progress = %(percent)s, progress_message = %(message)s
FROM app.queue q
WHERE q.queue_id = %(queue_id)s AND q.attempt = %(attempt)s AND q.worker = %(worker)s
    AND t.job_key = q.job_key AND t.stage = q.stage AND t.task_index = q.task_index

-- name: save_checkpoint
-- Keep a finished phase, with its event, if the attempt still holds the task.
WITH held AS (
    SELECT q.job_key, q.stage, q.task_index FROM app.queue q
    WHERE q.queue_id = %(queue_id)s AND q.attempt = %(attempt)s AND q.worker = %(worker)s FOR UPDATE
), told AS (
    INSERT INTO app.job_events (job_key, stage, task_index, attempt, event_type, event_status, checkpoint_name, worker)
    SELECT h.job_key, h.stage, h.task_index, %(attempt)s, 'checkpoint', 'success', %(name)s, %(worker)s FROM held h
)
UPDATE app.tasks t SET checkpoint_phase = %(phase)s, checkpoint_data = t.checkpoint_data || %(data)s::jsonb
FROM held h WHERE t.job_key = h.job_key AND t.stage = h.stage AND t.task_index = h.task_index

-- name: to_advance
-- For several advance items in one answer: first each item's job and how its stage ended, then every output and failure
-- of the stages finished so far.
SELECT i.queue_id, true AS is_job, j.job_type AS name, s.status::text AS key, j.parameters AS document,
    NULL AS error_code, NULL AS error_message
FROM unnest(%(queue_ids)s::bigint[], %(job_keys)s::bigint[], %(stages)s::int[]) AS i (queue_id, job_key, stage)
JOIN app.jobs j ON j.job_key = i.job_key
JOIN app.stages s ON s.job_key = i.job_key AND s.stage = i.stage
UNION ALL (
    SELECT i.queue_id, false, s.name, t.task_key, t.result, t.error_code, t.error_message
    FROM unnest(%(queue_ids)s::bigint[], %(job_keys)s::bigint[], %(stages)s::int[]) AS i (queue_id, job_key, stage)
    JOIN app.stages s ON s.job_key = i.job_key AND s.stage <= i.stage
    JOIN app.tasks t ON t.job_key = s.job_key AND t.stage = s.stage
    ORDER BY t.job_key, t.stage, t.task_index
)

-- name: advance_jobs
-- Replace advance items by what follows them, and claim more work.
SELECT * FROM app.advance_jobs(
    %(worker)s, %(steps)s::jsonb, %(keys)s::text[], %(parameters)s::text[], %(queues)s::text[], %(limit)s, %(lease)s
)

-- name: fail_stage
-- Fail the job whose stage ended with more failures than it allows.
SELECT app.fail_stage(%(worker)s, %(queue_id)s, %(attempt)s)

-- name: release_unknown
-- Give back what this worker leases without knowing it.
SELECT app.release_unknown(%(worker)s, %(known)s::bigint[])

-- name: sweep_leases
-- Return expired leases to the queue.
SELECT app.sweep_leases(%(worker)s, %(limit)s)

-- name: mend
-- Give stranded jobs their open work back, remove the work of ended ones.
SELECT app.mend_stranded(%(worker)s, %(limit)s) + app.remove_orphans(%(worker)s, %(limit)s)

-- name: archive_jobs
-- Archive some jobs that ended long ago.
SELECT app.archive_jobs(clock_timestamp() - %(days)s * interval '1 day', %(limit)s)

-- name: drop_jobs
-- Drop some archived jobs that ended very long ago.
SELECT app.drop_jobs(clock_timestamp() - %(days)s * interval '1 day', %(limit)s)

-- name: claim_outbox
-- Lease due side effects; the lease is the time until which nobody else tries.
WITH due AS (
    SELECT i.outbox_id FROM app.outbox i
    WHERE i.delivered_at IS NULL AND i.dead_at IS NULL AND i.not_before <= clock_timestamp()
    ORDER BY i.outbox_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE app.outbox o SET attempts = o.attempts + 1, worker = %(worker)s,
        not_before = clock_timestamp() + %(lease)s * interval '1 second'
    FROM due WHERE o.outbox_id = due.outbox_id
    RETURNING o.outbox_id, o.topic, o.payload, o.attempts, o.max_attempts
), told AS (
    INSERT INTO app.job_events (job_key, attempt, event_type, event_status, checkpoint_name, worker)
    SELECT j.job_key, c.attempts, 'callback_started', 'pending', c.topic, %(worker)s
    FROM claimed c JOIN app.jobs j ON j.job_key = (c.payload ->> 'job_key')::bigint
)
SELECT outbox_id, topic, payload, attempts, max_attempts FROM claimed

-- name: outbox_delivered
-- Settle a delivered side effect, with its event, if this attempt still holds it.
WITH settled AS (
    UPDATE app.outbox SET delivered_at = clock_timestamp(), last_error = NULL
    WHERE outbox_id = %(outbox_id)s AND attempts = %(attempts)s AND delivered_at IS NULL
    RETURNING topic, payload, attempts
)
INSERT INTO app.job_events (job_key, attempt, event_type, event_status, checkpoint_name)
SELECT j.job_key, s.attempts, 'callback_success', 'success', s.topic
FROM settled s JOIN app.jobs j ON j.job_key = (s.payload ->> 'job_key')::bigint

-- name: outbox_failed
-- Put a side effect back for later, or among the dead letters once its attempts are used up; with its event.
WITH failed AS (
    UPDATE app.outbox SET last_error = left(%(error)s, 1000), worker = NULL,
        not_before = clock_timestamp() + %(delay)s * interval '1 second',
        dead_at = CASE WHEN attempts >= max_attempts THEN clock_timestamp() END
    WHERE outbox_id = %(outbox_id)s AND attempts = %(attempts)s AND delivered_at IS NULL
    RETURNING outbox_id, topic, payload, attempts, dead_at
), told AS (
    INSERT INTO app.job_events (job_key, attempt, event_type, event_status, checkpoint_name, error_code, error_message)
    SELECT j.job_key, f.attempts, 'callback_failed',
        CASE WHEN f.dead_at IS NULL THEN 'warning' ELSE 'failure' END::app.job_event_status, f.topic, 'CALLBACK_FAILED', left(%(error)s, 1000)
    FROM failed f JOIN app.jobs j ON j.job_key = (f.payload ->> 'job_key')::bigint
)
INSERT INTO app.dead_letters (kind, cause, fingerprint, error_code, error_message, job_key, job_id, job_type, outbox_id, payload)
SELECT 'callback', 'exhausted', app.error_fingerprint('callback', f.topic, 'CALLBACK_FAILED', %(error)s), 'CALLBACK_FAILED',
    left(%(error)s, 1000), j.job_key, j.job_id, j.job_type, f.outbox_id, f.payload
FROM failed f LEFT JOIN app.jobs j ON j.job_key = (f.payload ->> 'job_key')::bigint
WHERE f.dead_at IS NOT NULL

-- name: next_due
-- Seconds until a claimable item or an expiring lease needs attention; null when nothing is open.
SELECT extract(epoch FROM min(visible_at) - clock_timestamp()) FROM app.queue WHERE queue = ANY (%(queues)s::text[])
