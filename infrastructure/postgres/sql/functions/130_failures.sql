-- End a job that cannot go on: its open work disappears, so what still runs elsewhere finds no row and writes nothing.
CREATE OR REPLACE FUNCTION app.fail_job(p_job_key bigint, p_stage int, p_code text, p_message text, p_hint text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_job_id text;
BEGIN
    -- In order of id, as completions come: two transactions that delete each other's rows in opposite orders deadlock.
    PERFORM 1 FROM app.queue q WHERE q.job_key = p_job_key ORDER BY q.queue_id FOR UPDATE;
    DELETE FROM app.queue q WHERE q.job_key = p_job_key;
    UPDATE app.tasks t SET status = 'cancelled', finished_at = clock_timestamp()
    WHERE t.job_key = p_job_key AND t.stage = p_stage AND t.status IN ('pending', 'processing');
    UPDATE app.stages s SET status = 'failed', failed = s.failed + 1, finished_at = clock_timestamp()
    WHERE s.job_key = p_job_key AND s.stage = p_stage AND s.status = 'processing';
    UPDATE app.jobs j SET status = 'failed', error_code = p_code, error_message = p_message, error_hint = p_hint,
        finished_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE j.job_key = p_job_key AND j.status IN ('queued', 'processing')
    RETURNING j.job_id INTO v_job_id;
    IF v_job_id IS NOT NULL THEN
        INSERT INTO app.job_events (job_key, stage, event_type, event_status, error_code, error_message)
        VALUES (p_job_key, p_stage, 'job_failed', 'failure', p_code, left(p_message, 1000));
        PERFORM pg_notify('geomachine_done', v_job_id);
    END IF;
END $$;

-- Record that an attempt failed: wait and try again, or give up and fail the job. Returns retrying, failed or stale.
-- Two tasks of a job that fail at once each want to delete the other's queue row; the advisory lock puts them in line.
CREATE OR REPLACE FUNCTION app.fail_task(
    p_worker text, p_queue_id bigint, p_attempt int, p_code text, p_message text, p_hint text, p_retry boolean, p_delay double precision,
    p_only_expired boolean DEFAULT false
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_row app.queue;
    v_retry boolean;
    v_error jsonb;
BEGIN
    SELECT q.* INTO v_row FROM app.queue q WHERE q.queue_id = p_queue_id;
    IF NOT FOUND THEN
        RETURN 'stale';
    END IF;
    PERFORM pg_advisory_xact_lock(7071, hashint8(v_row.job_key));
    SELECT q.* INTO v_row FROM app.queue q
    WHERE q.queue_id = p_queue_id AND q.attempt = p_attempt AND q.worker = p_worker
        AND (NOT p_only_expired OR q.visible_at <= clock_timestamp()) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'stale';
    END IF;
    v_retry := p_retry AND v_row.failures + 1 < v_row.max_failures;
    v_error := jsonb_build_object('attempt', p_attempt, 'code', p_code, 'message', left(p_message, 4000), 'at', clock_timestamp(),
                                  'worker', p_worker);
    IF v_retry THEN
        UPDATE app.queue q SET failures = q.failures + 1, worker = NULL,
            visible_at = clock_timestamp() + p_delay * interval '1 second'
        WHERE q.queue_id = p_queue_id;
    ELSE
        DELETE FROM app.queue q WHERE q.queue_id = p_queue_id;
    END IF;
    UPDATE app.tasks t SET status = CASE WHEN v_retry THEN 'pending' ELSE 'failed' END::app.task_status,
        attempt = p_attempt, worker = p_worker, error_code = p_code, error_message = left(p_message, 4000),
        error_history = t.error_history || v_error, finished_at = CASE WHEN v_retry THEN NULL ELSE clock_timestamp() END
    WHERE t.job_key = v_row.job_key AND t.stage = v_row.stage AND t.task_index = v_row.task_index
        AND t.status IN ('pending', 'processing');
    INSERT INTO app.job_events (job_key, stage, task_index, attempt, event_type, event_status, error_code, error_message, worker, event_data)
    VALUES (v_row.job_key, v_row.stage, nullif(v_row.task_index, -1), p_attempt,
            CASE WHEN v_row.task_index = -1 THEN 'stage_advancement_failed'
                 WHEN v_retry THEN 'task_retrying' ELSE 'task_failed' END::app.job_event_type,
            CASE WHEN v_retry THEN 'warning' ELSE 'failure' END::app.job_event_status, p_code, left(p_message, 1000), p_worker,
            CASE WHEN v_retry THEN jsonb_build_object('retry_in_seconds', p_delay) ELSE '{}' END);
    IF NOT v_retry THEN
        PERFORM app.fail_job(v_row.job_key, v_row.stage, p_code, p_message, p_hint);
        RETURN 'failed';
    END IF;
    RETURN 'retrying';
END $$;

-- Give an unfinished task back with its checkpoint. The attempt is not counted as a failure.
CREATE OR REPLACE FUNCTION app.release_task(p_worker text, p_queue_id bigint, p_attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row app.queue;
BEGIN
    UPDATE app.queue q SET worker = NULL, visible_at = clock_timestamp()
    WHERE q.queue_id = p_queue_id AND q.attempt = p_attempt AND q.worker = p_worker
    RETURNING q.* INTO v_row;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE app.tasks t SET status = 'pending'
    WHERE t.job_key = v_row.job_key AND t.stage = v_row.stage AND t.task_index = v_row.task_index AND t.status = 'processing';
    IF v_row.task_index >= 0 THEN
        INSERT INTO app.job_events (job_key, stage, task_index, attempt, event_type, event_status, worker)
        VALUES (v_row.job_key, v_row.stage, v_row.task_index, p_attempt, 'task_interrupted', 'info', p_worker);
    END IF;
    PERFORM pg_notify('geomachine_work', v_row.queue);
    RETURN true;
END $$;

-- Put expired leases through the failure path: the worker was killed, hung or cut off. Returns how many.
CREATE OR REPLACE FUNCTION app.sweep_leases(p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_row record;
    v_count int := 0;
BEGIN
    FOR v_row IN
        SELECT q.queue_id, q.attempt, q.worker FROM app.queue q
        WHERE q.worker IS NOT NULL AND q.visible_at <= clock_timestamp() ORDER BY q.job_key, q.queue_id LIMIT p_limit
    LOOP
        IF app.fail_task(v_row.worker, v_row.queue_id, v_row.attempt, 'LEASE_EXPIRED',
                         format('Worker %s stopped renewing its lease: killed, hung or cut off.', v_row.worker),
                         NULL, true, 0, true) <> 'stale' THEN
            v_count := v_count + 1;
        END IF;
    END LOOP;
    IF v_count > 0 THEN
        PERFORM pg_notify('geomachine_work', 'sweep');
    END IF;
    RETURN v_count;
END $$;
