-- name: submit_job
-- Accept a job with its first stage.
SELECT job_key, created, run FROM app.submit_job(
    %(job_id)s, %(job_type)s, %(parameters)s::jsonb, %(total_stages)s, %(submitted_by)s, %(correlation_id)s, %(rerun)s,
    %(name)s, %(task_type)s, %(queue)s, %(heavy)s, %(max_failures)s, %(keys)s::text[], %(stage_parameters)s::text[]
)

-- name: step
-- One worker cycle: complete, claim, count down.
SELECT * FROM app.step(
    %(worker)s, %(queues)s::text[], %(limit)s, %(lease)s,
    %(queue_ids)s::bigint[], %(attempts)s::int[], %(results)s::text[], %(durations)s::int[]
)

-- name: claim_one
-- Lease the item a broker's message names.
SELECT s.* FROM (
    SELECT array_agg(c.queue_id) AS ids, array_agg(c.job_key) AS jobs, array_agg(c.stage) AS stages,
        array_agg(c.task_index) AS indexes, array_agg(c.attempt) AS attempts, array_agg(c.failures) AS failures,
        array_agg(c.max_failures) AS max, array_agg(c.heavy) AS heavy
    FROM app.claim_one(%(worker)s, %(job_id)s, %(stage)s, %(task_index)s, %(lease)s) c
) c, app.start_items(%(worker)s, c.ids, c.jobs, c.stages, c.indexes, c.attempts, c.failures, c.max, c.heavy) s
WHERE c.ids IS NOT NULL

-- name: complete_one
-- Complete a heavy task in the open transaction; the advance item it leaves.
SELECT * FROM app.complete_one(%(worker)s, %(lease)s, %(queue_id)s, %(attempt)s, %(result)s, %(duration)s)

-- name: fail_task
-- Record a failed attempt; retrying, failed or stale.
SELECT app.fail_task(
    %(worker)s, %(queue_id)s, %(attempt)s, %(code)s, %(message)s, %(hint)s, %(retry)s, %(delay)s
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

-- name: job_for_advance
-- The job behind an advance item.
SELECT job_id, job_type, parameters, total_stages FROM app.jobs WHERE job_key = %(job_key)s

-- name: stage_results
-- Every output of the stages finished so far, by stage name and task key.
SELECT s.name, t.task_key, t.result
FROM app.tasks t JOIN app.stages s ON s.job_key = t.job_key AND s.stage = t.stage
WHERE t.job_key = %(job_key)s AND t.stage <= %(stage)s
ORDER BY t.stage, t.task_index

-- name: advance_job
-- Replace the advance item by the next stage.
SELECT app.advance_job(
    %(worker)s, %(queue_id)s, %(attempt)s, %(stage)s, %(name)s, %(task_type)s, %(queue)s, %(heavy)s, %(max_failures)s,
    %(keys)s::text[], %(stage_parameters)s::text[]
)

-- name: finish_job
-- Replace the advance item by the finished job.
SELECT app.finish_job(
    %(worker)s, %(queue_id)s, %(attempt)s, %(result)s::jsonb, %(collection_id)s, %(item_id)s, %(classification)s,
    %(callbacks)s::text[]
)

-- name: sweep_leases
-- Return expired leases to the queue.
SELECT app.sweep_leases(%(limit)s)

-- name: claim_outbox
-- Lease due side effects; the lease is the time until which nobody else tries.
UPDATE app.outbox o SET attempts = o.attempts + 1, worker = %(worker)s,
    not_before = clock_timestamp() + %(lease)s * interval '1 second'
WHERE o.outbox_id IN (
    SELECT i.outbox_id FROM app.outbox i
    WHERE i.delivered_at IS NULL AND i.dead_at IS NULL AND i.not_before <= clock_timestamp()
    ORDER BY i.outbox_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING o.outbox_id, o.topic, o.payload, o.attempts, o.max_attempts

-- name: outbox_delivered
-- Settle a delivered side effect, if this attempt still holds it.
UPDATE app.outbox SET delivered_at = clock_timestamp(), last_error = NULL
WHERE outbox_id = %(outbox_id)s AND attempts = %(attempts)s AND delivered_at IS NULL

-- name: outbox_failed
-- Put a side effect back for later, or among the dead once its attempts are used up.
UPDATE app.outbox SET last_error = left(%(error)s, 1000), worker = NULL,
    not_before = clock_timestamp() + %(delay)s * interval '1 second',
    dead_at = CASE WHEN attempts >= max_attempts THEN clock_timestamp() END
WHERE outbox_id = %(outbox_id)s AND attempts = %(attempts)s AND delivered_at IS NULL

-- name: outbox_event
-- Tell in the job's history how a callback went.
INSERT INTO app.job_events (job_key, event_type, event_status, checkpoint_name, error_message)
SELECT j.job_key, %(type)s::app.job_event_type, %(status)s::app.job_event_status, %(topic)s, %(error)s
FROM app.jobs j WHERE j.job_id = %(job_id)s AND j.superseded_at IS NULL

-- name: next_due
-- Seconds until a claimable item or an expiring lease needs attention; null when nothing is open.
SELECT extract(epoch FROM min(visible_at) - clock_timestamp()) FROM app.queue WHERE queue = ANY (%(queues)s::text[])
