-- End a job before its time: its open work disappears, so what still runs elsewhere finds no row and writes nothing.
-- Returns false when the job has ended already. The caller holds app.lock_job.
CREATE OR REPLACE FUNCTION app.stop_job(
    p_job_key bigint, p_status app.job_status, p_code text, p_message text, p_hint text, p_event jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_stage int;
BEGIN
    -- In order of id, as completions come: two transactions that delete each other's rows in opposite orders deadlock.
    PERFORM 1 FROM app.queue q WHERE q.job_key = p_job_key ORDER BY q.queue_id FOR UPDATE;
    DELETE FROM app.queue q WHERE q.job_key = p_job_key;
    UPDATE app.jobs j SET status = p_status, error_code = p_code, error_message = p_message, error_hint = p_hint,
        finished_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE j.job_key = p_job_key AND j.status IN ('queued', 'processing')
    RETURNING j.stage INTO v_stage;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE app.tasks t SET status = 'cancelled', finished_at = clock_timestamp()
    WHERE t.job_key = p_job_key AND t.stage = v_stage AND t.status IN ('pending', 'processing');
    UPDATE app.stages s SET status = p_status::text::app.stage_status, finished_at = clock_timestamp()
    WHERE s.job_key = p_job_key AND s.stage = v_stage AND s.status = 'processing';
    INSERT INTO app.job_events (job_key, stage, event_type, event_status, error_code, error_message, event_data)
    VALUES (p_job_key, v_stage, CASE p_status WHEN 'cancelled' THEN 'job_cancelled' ELSE 'job_failed' END::app.job_event_type,
            CASE p_status WHEN 'cancelled' THEN 'warning' ELSE 'failure' END::app.job_event_status, p_code, left(p_message, 1000), p_event);
    PERFORM app.announce_ends(ARRAY[p_job_key]);
    RETURN true;
END $$;

-- Two tasks of a job that fail at once each want to delete the other's queue row; this puts them in line.
CREATE OR REPLACE FUNCTION app.lock_job(p_job_key bigint) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(7071, hashint8(p_job_key));
$$;

-- Equal for errors that differ only in numbers, ids and what they quote.
CREATE OR REPLACE FUNCTION app.error_fingerprint(p_kind text, p_task_type text, p_code text, p_message text)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT md5(concat_ws('|', p_kind, p_task_type, p_code,
        regexp_replace(left(p_message, 1000), '''[^'']*''|"[^"]*"|[0-9a-f]{8,}|\d+', '#', 'g')));
$$;

-- What follows a failed attempt: try again here, move to the heavy queue, or give up and why.
-- `lost` is a lease that ran out: nobody's fault the first time, then the task is taken out of its neighbours' batches.
CREATE OR REPLACE FUNCTION app.decide(p_row app.queue, p_kind text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN p_kind = 'permanent' THEN 'permanent'
        WHEN p_kind = 'lost' AND p_row.losses + 1 >= 8 THEN 'poison'
        WHEN p_row.task_index = -1 AND (p_kind = 'lost' OR p_row.failures + 1 < p_row.max_failures) THEN 'again'
        WHEN p_kind = 'lost' AND (p_row.losses = 0 OR p_row.escalated) THEN 'again'
        WHEN p_kind = 'lost' THEN 'escalate'
        WHEN p_kind = 'resource' AND NOT p_row.escalated THEN 'escalate'
        WHEN p_kind = 'resource' OR p_row.failures + 1 >= p_row.max_failures THEN 'exhausted'
        ELSE 'again'
    END;
$$;

-- Put a failed attempt's item back in line.
CREATE OR REPLACE FUNCTION app.requeue(p_queue_id bigint, p_lost boolean, p_escalate boolean, p_delay double precision)
RETURNS void LANGUAGE sql AS $$
    UPDATE app.queue q SET worker = NULL, dispatched_at = NULL, visible_at = clock_timestamp() + p_delay * interval '1 second',
        failures = q.failures + CASE WHEN p_lost THEN 0 ELSE 1 END, losses = q.losses + CASE WHEN p_lost THEN 1 ELSE 0 END,
        queue = CASE WHEN p_escalate THEN 'long-running-tasks' ELSE q.queue END,
        heavy = q.heavy OR p_escalate, escalated = q.escalated OR p_escalate
    WHERE q.queue_id = p_queue_id;
$$;

-- Keep what failed for good until a person decides.
CREATE OR REPLACE FUNCTION app.keep_letter(p_row app.queue, p_cause text, p_code text, p_message text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO app.dead_letters (kind, cause, fingerprint, error_code, error_message, queue, job_key, job_id, job_type, stage, task_index,
                                  task_type, payload)
    SELECT 'task', p_cause::app.dead_letter_cause, app.error_fingerprint('task', coalesce(t.task_type, j.job_type), p_code, p_message),
        p_code, left(p_message, 4000), p_row.queue, j.job_key, j.job_id, j.job_type, p_row.stage, p_row.task_index, t.task_type,
        coalesce(t.parameters, j.parameters)
    FROM app.jobs j LEFT JOIN app.tasks t
        ON t.job_key = j.job_key AND t.stage = p_row.stage AND t.task_index = p_row.task_index
    WHERE j.job_key = p_row.job_key;
$$;

-- An item has ended without success: do as its job's policy says.
CREATE OR REPLACE FUNCTION app.give_up(p_row app.queue, p_code text, p_message text, p_hint text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_policy app.failure_policy;
BEGIN
    DELETE FROM app.queue q WHERE q.queue_id = p_row.queue_id;
    SELECT s.on_failure INTO v_policy FROM app.stages s WHERE s.job_key = p_row.job_key AND s.stage = p_row.stage;
    IF v_policy = 'fail_fast' OR p_row.task_index = -1 THEN
        PERFORM app.stop_job(p_row.job_key, 'failed', p_code, p_message, p_hint, '{}');
        IF p_row.task_index >= 0 THEN
            -- The counter last: whoever completes a task of this stage waits for it with queue rows in hand.
            UPDATE app.stages s SET failed = s.failed + 1 WHERE s.job_key = p_row.job_key AND s.stage = p_row.stage;
        END IF;
    ELSE
        PERFORM app.count_down(NULL, 0, ARRAY[p_row.job_key], ARRAY[p_row.stage], ARRAY[1], 1);
        PERFORM pg_notify('geomachine_work', 'geospatial-jobs');
    END IF;
END $$;

-- Record that an attempt failed. p_kind is transient, resource, permanent or lost. Returns retrying, failed or stale.
CREATE OR REPLACE FUNCTION app.fail_task(
    p_worker text, p_queue_id bigint, p_attempt int, p_kind text, p_code text, p_message text, p_hint text, p_delay double precision,
    p_only_expired boolean DEFAULT false
) RETURNS text LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_row app.queue;
    v_next text;
    v_again boolean;
BEGIN
    SELECT q.* INTO v_row FROM app.queue q WHERE q.queue_id = p_queue_id;
    IF NOT FOUND THEN
        RETURN 'stale';
    END IF;
    PERFORM app.lock_job(v_row.job_key);
    SELECT q.* INTO v_row FROM app.queue q
    WHERE q.queue_id = p_queue_id AND q.attempt = p_attempt AND q.worker = p_worker
        AND (NOT p_only_expired OR q.visible_at <= clock_timestamp()) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'stale';
    END IF;
    v_next := app.decide(v_row, p_kind);
    v_again := v_next IN ('again', 'escalate');
    UPDATE app.tasks t SET status = CASE WHEN v_again THEN 'pending' ELSE 'failed' END::app.task_status,
        attempt = p_attempt, worker = p_worker, error_code = p_code, error_message = left(p_message, 4000),
        error_history = t.error_history || jsonb_build_object('attempt', p_attempt, 'code', p_code, 'message', left(p_message, 4000),
            'at', clock_timestamp(), 'worker', p_worker, 'kind', p_kind, 'queue', v_row.queue),
        finished_at = CASE WHEN v_again THEN NULL ELSE clock_timestamp() END
    WHERE t.job_key = v_row.job_key AND t.stage = v_row.stage AND t.task_index = v_row.task_index
        AND t.status IN ('pending', 'processing');
    INSERT INTO app.job_events (job_key, stage, task_index, attempt, event_type, event_status, error_code, error_message, worker, event_data)
    VALUES (v_row.job_key, v_row.stage, nullif(v_row.task_index, -1), p_attempt,
            CASE WHEN v_row.task_index = -1 THEN 'stage_advancement_failed' WHEN p_kind = 'lost' AND v_again THEN 'lease_expired'
                 WHEN v_again THEN 'task_retrying' ELSE 'task_failed' END::app.job_event_type,
            CASE WHEN v_again THEN 'warning' ELSE 'failure' END::app.job_event_status, p_code, left(p_message, 1000), p_worker,
            CASE v_next WHEN 'again' THEN jsonb_build_object('retry_in_seconds', round(p_delay::numeric, 3))
                WHEN 'escalate' THEN jsonb_build_object('moved_to', 'long-running-tasks') ELSE jsonb_build_object('cause', v_next) END);
    IF v_again THEN
        PERFORM app.requeue(p_queue_id, p_kind = 'lost', v_next = 'escalate', CASE v_next WHEN 'again' THEN p_delay ELSE 0 END);
        RETURN 'retrying';
    END IF;
    PERFORM app.keep_letter(v_row, v_next, p_code, p_message);
    PERFORM app.give_up(v_row, p_code, p_message, p_hint);
    RETURN 'failed';
END $$;

-- Fail a job whose stage ended with more failures than its policy allows. Takes the stage's advance item.
CREATE OR REPLACE FUNCTION app.fail_stage(p_worker text, p_queue_id bigint, p_attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row app.queue;
    v_stage app.stages;
    v_codes text;
BEGIN
    DELETE FROM app.queue q WHERE q.queue_id = p_queue_id AND q.attempt = p_attempt AND q.worker = p_worker AND q.task_index = -1
    RETURNING q.* INTO v_row;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT s.* INTO v_stage FROM app.stages s WHERE s.job_key = v_row.job_key AND s.stage = v_row.stage;
    SELECT string_agg(format('%s (%s)', f.error_code, f.n), ', ' ORDER BY f.n DESC, f.error_code) INTO v_codes
    FROM (SELECT t.error_code, count(*) AS n FROM app.tasks t
          WHERE t.job_key = v_row.job_key AND t.stage = v_row.stage AND t.status = 'failed' GROUP BY 1) f;
    RETURN app.stop_job(v_row.job_key, 'failed', 'TASKS_FAILED',
        format('%s of %s tasks of stage %L failed: %s.', v_stage.failed, v_stage.expected, v_stage.name, v_codes),
        'The tasks'' own errors say why; retry the job to run only what failed.', jsonb_build_object('failed', v_stage.failed));
END $$;

-- Give an unfinished task back with its checkpoint. The attempt is not counted as a failure.
CREATE OR REPLACE FUNCTION app.release_task(p_worker text, p_queue_id bigint, p_attempt int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row app.queue;
BEGIN
    UPDATE app.queue q SET worker = NULL, dispatched_at = NULL, visible_at = clock_timestamp()
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

-- Give back what this worker leases without knowing it: the answer to its claim was lost on the way.
CREATE OR REPLACE FUNCTION app.release_unknown(p_worker text, p_known bigint[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_row record;
    v_count int := 0;
BEGIN
    FOR v_row IN SELECT q.queue_id, q.attempt FROM app.queue q WHERE q.worker = p_worker AND q.queue_id <> ALL (p_known) ORDER BY q.queue_id LOOP
        v_count := v_count + app.release_task(p_worker, v_row.queue_id, v_row.attempt)::int;
    END LOOP;
    RETURN v_count;
END $$;
