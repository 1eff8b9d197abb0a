-- What every ending of a job promises: its callbacks in the outbox, and a word to whoever waits for it.
CREATE OR REPLACE FUNCTION app.announce_ends(p_job_keys bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO app.outbox (topic, dedup_key, payload)
    SELECT c.topic, j.job_key::text,
        jsonb_build_object('job_id', j.job_id, 'job_key', j.job_key, 'job_type', j.job_type, 'run', j.run, 'status', j.status)
    FROM app.jobs j, jsonb_array_elements_text(j.callbacks) AS c (topic) WHERE j.job_key = ANY (p_job_keys);
    SELECT app.promise_webhooks(CASE WHEN j.status IN ('completed', 'completed_with_errors') THEN 'job.completed' ELSE 'job.failed' END,
        j.job_id, j.job_key, j.job_key::text, jsonb_build_object('job_type', j.job_type, 'status', j.status, 'error_code', j.error_code,
            'error_message', j.error_message))
    FROM app.jobs j WHERE j.job_key = ANY (p_job_keys);
    SELECT pg_notify('geomachine_done', j.job_id) FROM app.jobs j WHERE j.job_key = ANY (p_job_keys);
$$;

-- What becomes of a job whose stage has ended: the next stage, or with a `result` its end.
DO $$ BEGIN
    IF to_regtype('app.next_step') IS NULL THEN
        CREATE TYPE app.next_step AS (
            queue_id bigint, attempt int, job_key bigint, stage int, name text, task_type text, queue text, heavy boolean,
            max_failures int, on_failure text, tasks int, result text, items jsonb, classification text
        );
    END IF;
END $$;

-- Finish jobs: result, approval record and outbox rows in the transaction that makes them completed.
CREATE OR REPLACE FUNCTION app.finish_jobs(p_worker text, p_ends app.next_step[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_keys bigint[];
    e app.next_step;
BEGIN
    WITH done AS (
        UPDATE app.jobs j SET result = n.result::jsonb, started_at = coalesce(j.started_at, clock_timestamp()),
            finished_at = clock_timestamp(), updated_at = clock_timestamp(),
            status = CASE WHEN EXISTS (SELECT 1 FROM app.stages s WHERE s.job_key = j.job_key AND s.failed > 0)
                THEN 'completed_with_errors' ELSE 'completed' END::app.job_status
        FROM unnest(p_ends) n WHERE j.job_key = n.job_key AND j.status IN ('queued', 'processing')
        RETURNING j.job_key, j.stage, j.status, j.created_at, j.finished_at
    ), told AS (
        INSERT INTO app.job_events (job_key, stage, event_type, event_status, worker, duration_ms)
        SELECT d.job_key, d.stage, 'job_completed', CASE d.status WHEN 'completed' THEN 'success' ELSE 'warning' END::app.job_event_status,
            p_worker, least(extract(epoch FROM d.finished_at - d.created_at) * 1000, 2147483647)  -- 24 days fill the column
        FROM done d
    )
    SELECT array_agg(d.job_key) INTO v_keys FROM done d;
    IF coalesce(cardinality(v_keys), 0) < cardinality(p_ends) THEN
        RAISE EXCEPTION 'a job of % has ended and cannot finish again', p_worker;
    END IF;
    -- In one order, so that two workers who finish jobs on the same items wait for each other and do not deadlock.
    FOR e IN SELECT n.* FROM unnest(p_ends) n WHERE n.items IS NOT NULL ORDER BY n.items LOOP
        PERFORM app.request_approval(e.job_key, e.items, e.classification);
    END LOOP;
    PERFORM app.announce_ends(v_keys);
END $$;

-- Turn finished stages into what follows them, then lease more work. Raises GM001, and does nothing, when one of the
-- advance items is no longer held by this attempt: a late duplicate changes nothing.
CREATE OR REPLACE FUNCTION app.advance_jobs(
    p_worker text, p_steps jsonb, p_keys text[], p_parameters text[], p_queues text[], p_limit int, p_lease double precision
) RETURNS SETOF app.claimed_item LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_steps app.next_step[] := ARRAY(SELECT s FROM jsonb_populate_recordset(NULL::app.next_step, p_steps) s);
    v_stages app.new_stage[];
    v_ends app.next_step[];
    v_count int;
BEGIN
    DELETE FROM app.queue q USING unnest(v_steps) s
    WHERE q.queue_id = s.queue_id AND q.attempt = s.attempt AND q.worker = p_worker AND q.task_index = -1;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    IF v_count < cardinality(v_steps) THEN
        RAISE EXCEPTION 'an advance item is no longer held by %', p_worker USING ERRCODE = 'GM001';
    END IF;
    v_stages := ARRAY(
        SELECT ROW(s.job_key, s.stage, s.name, s.task_type, s.queue, s.heavy, s.max_failures, s.on_failure, s.tasks)::app.new_stage
        FROM unnest(v_steps) WITH ORDINALITY s WHERE s.result IS NULL ORDER BY s.ordinality);
    IF cardinality(v_stages) > 0 THEN
        -- A job whose first stages were empty was never claimed for a task, so it starts here.
        UPDATE app.jobs j SET stage = n.stage, status = 'processing', started_at = coalesce(j.started_at, clock_timestamp()),
            updated_at = clock_timestamp()
        FROM unnest(v_stages) n WHERE j.job_key = n.job_key AND j.status IN ('queued', 'processing');
        GET DIAGNOSTICS v_count = ROW_COUNT;
        IF v_count < cardinality(v_stages) THEN
            RAISE EXCEPTION 'a job of % has ended and cannot advance', p_worker;
        END IF;
        PERFORM app.create_stages(v_stages, p_keys, p_parameters);
    END IF;
    v_ends := ARRAY(SELECT s FROM unnest(v_steps) s WHERE s.result IS NOT NULL);
    IF cardinality(v_ends) > 0 THEN
        PERFORM app.finish_jobs(p_worker, v_ends);
    END IF;
    IF p_limit > 0 AND cardinality(v_stages) > 0 THEN
        -- Only where something has just been put; the next step looks everywhere.
        RETURN QUERY SELECT * FROM app.claim_items(
            p_worker, ARRAY(SELECT q FROM unnest(p_queues) q WHERE q = ANY (SELECT n.queue FROM unnest(v_stages) n)), p_limit, p_lease);
    END IF;
END $$;
