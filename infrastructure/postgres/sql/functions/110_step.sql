-- One worker cycle in one round trip: complete what has finished, claim what comes next, count the stages down.
-- Lock order everywhere: own queue rows, task rows, new queue rows (skip locked), job row, stage counter last.
-- Taking the counter earlier deadlocks with a worker that holds a queue row it skipped a moment ago.

-- Complete tasks of this worker. Only a row still held under the caller's attempt counts; a late duplicate moves nothing.
CREATE OR REPLACE FUNCTION app.complete_tasks(
    p_worker text, p_queue_ids bigint[], p_attempts int[], p_results text[], p_durations int[],
    OUT job_keys bigint[], OUT stages int[], OUT counts int[]
) LANGUAGE plpgsql AS $$
BEGIN
    WITH claimed AS (
        DELETE FROM app.queue q USING unnest(p_queue_ids, p_attempts, p_results, p_durations) AS d (queue_id, attempt, result, ms)
        WHERE q.queue_id = d.queue_id AND q.attempt = d.attempt AND q.worker = p_worker
        RETURNING q.job_key, q.stage, q.task_index, q.attempt, d.result, d.ms
    ), done AS (
        UPDATE app.tasks t SET status = 'completed', result = c.result::jsonb, attempt = c.attempt, worker = p_worker,
            started_at = coalesce(t.started_at, clock_timestamp() - c.ms * interval '1 millisecond'),
            finished_at = clock_timestamp(), duration_ms = c.ms,
            progress = CASE WHEN t.progress IS NOT NULL THEN 100 END
        FROM claimed c
        WHERE t.job_key = c.job_key AND t.stage = c.stage AND t.task_index = c.task_index
            AND t.status IN ('pending', 'processing')
        RETURNING t.job_key, t.stage, t.task_index, t.attempt, t.duration_ms
    ), told AS (
        INSERT INTO app.job_events (job_key, stage, task_index, attempt, event_type, event_status, worker, duration_ms)
        SELECT d.job_key, d.stage, d.task_index, d.attempt, 'task_completed', 'success', p_worker, d.duration_ms FROM done d
    ), counted AS (
        SELECT d.job_key, d.stage, count(*)::int AS n FROM done d GROUP BY 1, 2 ORDER BY 1, 2
    )
    SELECT array_agg(c.job_key), array_agg(c.stage), array_agg(c.n) INTO job_keys, stages, counts FROM counted c;
END $$;

-- A claimed item as its worker needs it. Advance items have task_index -1 and no task row.
DO $$ BEGIN
    IF to_regtype('app.claimed_item') IS NULL THEN
        CREATE TYPE app.claimed_item AS (
            queue_id bigint, job_key bigint, job_id text, job_type text, stage int, task_index int, attempt int, failures int,
            max_failures int, heavy boolean, task_type text, parameters jsonb, checkpoint_phase int, checkpoint_data jsonb,
            correlation_id text
        );
    END IF;
END $$;

-- Count ended tasks off their stages; p_failed says how many of them failed for good. Whoever reaches zero ends the
-- stage and leaves its advance item in this same transaction: two can never both be last and none can be missed.
-- With a worker the item is leased to it; without one it is open to all.
CREATE OR REPLACE FUNCTION app.count_down(
    p_worker text, p_lease double precision, p_job_keys bigint[], p_stages int[], p_counts int[], p_failed int DEFAULT 0
) RETURNS SETOF app.claimed_item LANGUAGE plpgsql AS $$
DECLARE
    v_left int;
    v_status app.stage_status;
    v_queue_id bigint;
    x int;
BEGIN
    FOR x IN 1 .. coalesce(cardinality(p_job_keys), 0) LOOP
        UPDATE app.stages s SET remaining = s.remaining - p_counts[x], failed = s.failed + p_failed,
            status = CASE
                WHEN s.remaining > p_counts[x] THEN s.status
                WHEN s.failed + p_failed = 0 THEN 'completed'
                WHEN s.on_failure = 'partial' AND s.failed + p_failed < s.expected THEN 'completed_with_errors'
                ELSE 'failed'
            END,
            finished_at = CASE WHEN s.remaining = p_counts[x] THEN clock_timestamp() END
        WHERE s.job_key = p_job_keys[x] AND s.stage = p_stages[x] AND s.status = 'processing'
        RETURNING s.remaining, s.status INTO v_left, v_status;
        IF v_left = 0 THEN
            INSERT INTO app.job_events (job_key, stage, event_type, event_status, worker)
            VALUES (p_job_keys[x], p_stages[x], 'stage_completed',
                    CASE v_status WHEN 'completed' THEN 'success' WHEN 'failed' THEN 'failure' ELSE 'warning' END::app.job_event_status, p_worker);
            INSERT INTO app.queue AS q (queue, job_key, stage, task_index, heavy, max_failures, attempt, worker, visible_at)
            VALUES ('geospatial-jobs', p_job_keys[x], p_stages[x], -1, false, 10, CASE WHEN p_worker IS NULL THEN 0 ELSE 1 END, p_worker,
                    clock_timestamp() + p_lease * interval '1 second')
            RETURNING q.queue_id INTO v_queue_id;
            RETURN QUERY
                SELECT v_queue_id, j.job_key, j.job_id, j.job_type, p_stages[x], -1, 1, 0, 10, false, NULL::text, NULL::jsonb,
                    0, NULL::jsonb, j.correlation_id
                FROM app.jobs j WHERE j.job_key = p_job_keys[x];
        END IF;
    END LOOP;
END $$;

-- Lease up to p_limit light items, queue by queue in the order given, or, when there is none, one heavy item: heavy
-- work is never hoarded behind a busy worker. Rows whose lease ran out still name their worker; they are the sweep's.
CREATE OR REPLACE FUNCTION app.claim(p_worker text, p_queues text[], p_limit int, p_lease double precision)
RETURNS TABLE (queue_id bigint, job_key bigint, stage int, task_index int, attempt int, failures int, max_failures int, heavy boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_heavy boolean;
    v_queue text;
    v_left int := p_limit;
    v_got int;
BEGIN
    FOREACH v_heavy IN ARRAY ARRAY[false, true] LOOP
        EXIT WHEN v_left < p_limit;
        FOREACH v_queue IN ARRAY p_queues LOOP
            RETURN QUERY
                WITH free AS MATERIALIZED (
                    SELECT q.queue_id FROM app.queue q
                    WHERE q.queue = v_queue AND q.worker IS NULL AND q.visible_at <= clock_timestamp() AND q.heavy = v_heavy
                    -- In the order of the index, which is the oldest first. Told to ORDER BY queue_id, the planner may walk the
                    -- primary key instead, past every row of the other queues.
                    LIMIT CASE WHEN v_heavy THEN 1 ELSE v_left END FOR UPDATE SKIP LOCKED
                )
                UPDATE app.queue q SET worker = p_worker, attempt = q.attempt + 1,
                    visible_at = clock_timestamp() + p_lease * interval '1 second'
                FROM free WHERE q.queue_id = free.queue_id
                RETURNING q.queue_id, q.job_key, q.stage, q.task_index, q.attempt, q.failures, q.max_failures, q.heavy;
            GET DIAGNOSTICS v_got = ROW_COUNT;
            v_left := v_left - v_got;
            EXIT WHEN v_left <= 0 OR (v_heavy AND v_got > 0);
        END LOOP;
    END LOOP;
END $$;

-- What a claim leaves behind: heavy tasks show that they run and by whom; a job's first claim starts it.
CREATE OR REPLACE FUNCTION app.mark_started(
    p_worker text, p_job_keys bigint[], p_stages int[], p_indexes int[], p_attempts int[], p_heavy boolean[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF true = ANY (p_heavy) THEN
        WITH started AS (
            UPDATE app.tasks t SET status = 'processing', attempt = c.attempt, worker = p_worker, started_at = clock_timestamp(),
                progress = 0, progress_message = NULL
            FROM unnest(p_job_keys, p_stages, p_indexes, p_attempts, p_heavy) AS c (job_key, stage, task_index, attempt, heavy)
            WHERE c.heavy AND t.job_key = c.job_key AND t.stage = c.stage AND t.task_index = c.task_index
            RETURNING t.job_key, t.stage, t.task_index, t.attempt
        )
        INSERT INTO app.job_events (job_key, stage, task_index, attempt, event_type, event_status, worker)
        SELECT s.job_key, s.stage, s.task_index, s.attempt, 'task_started', 'info', p_worker FROM started s;
    END IF;
    WITH started AS (
        UPDATE app.jobs j SET status = 'processing', started_at = clock_timestamp(), updated_at = clock_timestamp()
        FROM (SELECT q.job_key FROM app.jobs q WHERE q.job_key = ANY (p_job_keys) AND q.status = 'queued' ORDER BY q.job_key FOR UPDATE) q
        WHERE j.job_key = q.job_key
        RETURNING j.job_key
    )
    INSERT INTO app.job_events (job_key, event_type, event_status, worker)
    SELECT s.job_key, 'job_started', 'info', p_worker FROM started s;
END $$;

-- Mark claimed items as started and read what they are.
CREATE OR REPLACE FUNCTION app.start_items(
    p_worker text, p_ids bigint[], p_jobs bigint[], p_stages int[], p_indexes int[], p_attempts int[], p_failures int[],
    p_max int[], p_heavy boolean[]
) RETURNS SETOF app.claimed_item LANGUAGE plpgsql AS $$
BEGIN
    PERFORM app.mark_started(p_worker, p_jobs, p_stages, p_indexes, p_attempts, p_heavy);
    RETURN QUERY
        SELECT c.queue_id, c.job_key, j.job_id, j.job_type, c.stage, c.task_index, c.attempt, c.failures, c.max_failures, c.heavy,
            t.task_type, t.parameters, t.checkpoint_phase, t.checkpoint_data, j.correlation_id
        FROM unnest(p_ids, p_jobs, p_stages, p_indexes, p_attempts, p_failures, p_max, p_heavy)
            AS c (queue_id, job_key, stage, task_index, attempt, failures, max_failures, heavy)
        JOIN app.jobs j ON j.job_key = c.job_key
        LEFT JOIN app.tasks t ON t.job_key = c.job_key AND t.stage = c.stage AND t.task_index = c.task_index;
END $$;

-- Lease what is due, mark it as started and read what it is.
CREATE OR REPLACE FUNCTION app.claim_items(p_worker text, p_queues text[], p_limit int, p_lease double precision)
RETURNS SETOF app.claimed_item LANGUAGE plpgsql AS $$
DECLARE
    c_ids bigint[]; c_jobs bigint[]; c_stages int[]; c_indexes int[]; c_attempts int[]; c_failures int[]; c_max int[]; c_heavy boolean[];
BEGIN
    SELECT array_agg(c.queue_id), array_agg(c.job_key), array_agg(c.stage), array_agg(c.task_index), array_agg(c.attempt),
           array_agg(c.failures), array_agg(c.max_failures), array_agg(c.heavy)
    INTO c_ids, c_jobs, c_stages, c_indexes, c_attempts, c_failures, c_max, c_heavy
    FROM app.claim(p_worker, p_queues, p_limit, p_lease) c;
    IF c_ids IS NOT NULL THEN
        RETURN QUERY SELECT * FROM app.start_items(p_worker, c_ids, c_jobs, c_stages, c_indexes, c_attempts, c_failures, c_max, c_heavy);
    END IF;
END $$;

-- The cycle itself.
CREATE OR REPLACE FUNCTION app.step(
    p_worker text, p_queues text[], p_limit int, p_lease double precision,
    p_queue_ids bigint[], p_attempts int[], p_results text[], p_durations int[]
) RETURNS SETOF app.claimed_item LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_job_keys bigint[]; v_stages int[]; v_counts int[];
BEGIN
    IF cardinality(p_queue_ids) > 0 THEN
        SELECT d.job_keys, d.stages, d.counts INTO v_job_keys, v_stages, v_counts
        FROM app.complete_tasks(p_worker, p_queue_ids, p_attempts, p_results, p_durations) d;
    END IF;
    IF p_limit > 0 THEN
        RETURN QUERY SELECT * FROM app.claim_items(p_worker, p_queues, p_limit, p_lease);
    END IF;
    RETURN QUERY SELECT * FROM app.count_down(p_worker, p_lease, v_job_keys, v_stages, v_counts);
END $$;

-- Complete one heavy task inside the caller's transaction, which has just written the task's domain rows, and return
-- the advance item it leaves. Raises GM001 when another attempt holds the task, so that those rows are undone.
CREATE OR REPLACE FUNCTION app.complete_one(
    p_worker text, p_lease double precision, p_queue_id bigint, p_attempt int, p_result text, p_duration int
) RETURNS SETOF app.claimed_item LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_job_keys bigint[]; v_stages int[]; v_counts int[];
BEGIN
    SELECT d.job_keys, d.stages, d.counts INTO v_job_keys, v_stages, v_counts
    FROM app.complete_tasks(p_worker, ARRAY[p_queue_id], ARRAY[p_attempt], ARRAY[p_result], ARRAY[p_duration]) d;
    IF v_job_keys IS NULL THEN
        RAISE EXCEPTION 'queue item % is no longer held by attempt %', p_queue_id, p_attempt USING ERRCODE = 'GM001';
    END IF;
    RETURN QUERY SELECT * FROM app.count_down(p_worker, p_lease, v_job_keys, v_stages, v_counts);
END $$;
