-- Cancel a job. Returns false when it has ended already.
CREATE OR REPLACE FUNCTION app.cancel_job(p_job_key bigint, p_by text, p_reason text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM app.lock_job(p_job_key);
    RETURN app.stop_job(p_job_key, 'cancelled', 'JOB_CANCELLED', format('Cancelled by %s: %s', p_by, p_reason), NULL,
                        jsonb_build_object('by', p_by, 'reason', p_reason));
END $$;

-- Cancel one open task. To its job that is a failure, with all that its policy says about failures.
CREATE OR REPLACE FUNCTION app.cancel_task(p_job_key bigint, p_stage int, p_task_index int, p_by text, p_reason text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_row app.queue;
    v_message text := format('Task %s of stage %s was cancelled by %s: %s', p_task_index, p_stage, p_by, p_reason);
BEGIN
    PERFORM app.lock_job(p_job_key);
    SELECT q.* INTO v_row FROM app.queue q
    WHERE q.job_key = p_job_key AND q.stage = p_stage AND q.task_index = p_task_index AND q.task_index >= 0 FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE app.tasks t SET status = 'cancelled', error_code = 'TASK_CANCELLED', error_message = v_message, finished_at = clock_timestamp()
    WHERE t.job_key = p_job_key AND t.stage = p_stage AND t.task_index = p_task_index AND t.status IN ('pending', 'processing');
    INSERT INTO app.job_events (job_key, stage, task_index, event_type, event_status, error_code, error_message, event_data)
    VALUES (p_job_key, p_stage, p_task_index, 'task_cancelled', 'warning', 'TASK_CANCELLED', left(v_message, 1000),
            jsonb_build_object('by', p_by, 'reason', p_reason));
    PERFORM app.give_up(v_row, 'TASK_CANCELLED', v_message, NULL);
    RETURN true;
END $$;

-- Run again only what did not succeed, as a new run that starts with copies of what did. `p_parameters` replaces the
-- parameters of tasks, by index, in the first stage that has something to do. Null when the job's newest run has not
-- ended, or has ended well. An ended run is never changed.
CREATE OR REPLACE FUNCTION app.retry_job(p_job_key bigint, p_by text, p_parameters jsonb DEFAULT '{}')
RETURNS TABLE (job_key bigint, run int, stage int, reopened int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_old app.jobs;
    v_new bigint;
    v_stage int;
    v_open int;
    v_spec app.stages;
BEGIN
    PERFORM app.lock_job(p_job_key);
    UPDATE app.jobs j SET superseded_at = clock_timestamp()
    WHERE j.job_key = p_job_key AND j.superseded_at IS NULL AND j.archived_at IS NULL
        AND j.status IN ('failed', 'cancelled', 'completed_with_errors')
    RETURNING j.* INTO v_old;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT coalesce(min(t.stage), v_old.stage) INTO v_stage FROM app.tasks t WHERE t.job_key = p_job_key AND t.status <> 'completed';
    INSERT INTO app.jobs (job_id, run, job_type, parameters, total_stages, stage, submitted_by, correlation_id, callbacks)
    VALUES (v_old.job_id, v_old.run + 1, v_old.job_type, v_old.parameters, v_old.total_stages, v_stage, v_old.submitted_by,
            v_old.correlation_id, v_old.callbacks)
    RETURNING app.jobs.job_key INTO v_new;
    SELECT count(*) INTO v_open FROM app.tasks t WHERE t.job_key = p_job_key AND t.stage = v_stage AND t.status <> 'completed';
    INSERT INTO app.stages (job_key, stage, name, task_type, queue, heavy, max_failures, on_failure, status, expected, remaining, started_at, finished_at)
    SELECT v_new, s.stage, s.name, s.task_type, s.queue, s.heavy, s.max_failures, s.on_failure,
        CASE WHEN s.stage < v_stage OR v_open = 0 THEN 'completed' ELSE 'processing' END::app.stage_status, s.expected,
        CASE WHEN s.stage < v_stage THEN 0 ELSE v_open END, CASE WHEN s.stage < v_stage OR v_open = 0 THEN s.started_at ELSE clock_timestamp() END,
        CASE WHEN s.stage < v_stage OR v_open = 0 THEN s.finished_at END
    FROM app.stages s WHERE s.job_key = p_job_key AND s.stage <= v_stage;
    INSERT INTO app.tasks (job_key, stage, task_index, task_key, task_type, status, attempt, parameters, result, worker, started_at,
                           finished_at, duration_ms, checkpoint_phase, checkpoint_data)
    SELECT v_new, t.stage, t.task_index, t.task_key, t.task_type,
        CASE t.status WHEN 'completed' THEN 'completed' ELSE 'pending' END::app.task_status,
        CASE t.status WHEN 'completed' THEN t.attempt ELSE 0 END,
        CASE WHEN t.stage = v_stage THEN coalesce(p_parameters -> t.task_index::text, t.parameters) ELSE t.parameters END,
        t.result, CASE t.status WHEN 'completed' THEN t.worker END, CASE t.status WHEN 'completed' THEN t.started_at END,
        CASE t.status WHEN 'completed' THEN t.finished_at END, CASE t.status WHEN 'completed' THEN t.duration_ms END,
        CASE t.status WHEN 'completed' THEN t.checkpoint_phase ELSE 0 END, CASE t.status WHEN 'completed' THEN t.checkpoint_data ELSE '{}' END
    FROM app.tasks t WHERE t.job_key = p_job_key AND t.stage <= v_stage;
    SELECT s.* INTO v_spec FROM app.stages s WHERE s.job_key = v_new AND s.stage = v_stage;
    INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
    SELECT v_spec.queue, v_new, v_stage, t.task_index, v_spec.heavy, v_spec.max_failures
    FROM app.tasks t WHERE t.job_key = v_new AND t.stage = v_stage AND t.status = 'pending' ORDER BY t.task_index;
    IF v_open = 0 THEN
        INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures) VALUES ('geospatial-jobs', v_new, v_stage, -1, false, 10);
    END IF;
    INSERT INTO app.job_events (job_key, stage, event_type, event_status, event_data)
    VALUES (v_new, v_stage, 'job_created', 'success',
            jsonb_build_object('job_type', v_old.job_type, 'run', v_old.run + 1, 'retry_of', v_old.run, 'reopened', v_open, 'by', p_by));
    UPDATE app.dead_letters d SET state = 'redriven', resolved_at = clock_timestamp(), resolved_by = p_by,
        resolution = coalesce(d.resolution, format('run %s', v_old.run + 1))
    WHERE d.job_key = p_job_key AND d.state = 'open' AND d.kind = 'task';
    PERFORM pg_notify('geomachine_work', v_spec.queue);
    RETURN QUERY SELECT v_new, v_old.run + 1, v_stage, v_open;
END $$;

-- Run a dead letter again, with its payload as it is now. A task takes its job's other failures with it: the job gets one
-- new run. Returns what it became: redriven, running (its job has not ended), superseded (a newer run exists) or resolved.
CREATE OR REPLACE FUNCTION app.redrive(p_dead_letter_id bigint, p_by text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_letter app.dead_letters;
    v_edits jsonb;
BEGIN
    SELECT d.* INTO v_letter FROM app.dead_letters d WHERE d.dead_letter_id = p_dead_letter_id FOR UPDATE;
    IF NOT FOUND OR v_letter.state <> 'open' THEN
        RETURN 'resolved';
    END IF;
    CASE v_letter.kind
        WHEN 'callback' THEN
            UPDATE app.outbox o SET dead_at = NULL, attempts = 0, worker = NULL, not_before = clock_timestamp(), payload = v_letter.payload
            WHERE o.outbox_id = v_letter.outbox_id;
        WHEN 'message' THEN
            UPDATE app.queue q SET dispatched_at = NULL
            WHERE q.job_key = v_letter.job_key AND q.stage = v_letter.stage AND q.task_index = v_letter.task_index AND q.worker IS NULL;
        WHEN 'task' THEN
            -- Only stages' tasks have parameters of their own; what a stage's advance read was the job's.
            SELECT jsonb_object_agg(d.task_index, d.payload) INTO v_edits FROM app.dead_letters d
            WHERE d.job_key = v_letter.job_key AND d.kind = 'task' AND d.state = 'open' AND d.stage = v_letter.stage AND d.task_index >= 0;
            IF NOT EXISTS (SELECT 1 FROM app.retry_job(v_letter.job_key, p_by, coalesce(v_edits, '{}'))) THEN
                RETURN CASE WHEN EXISTS (SELECT 1 FROM app.jobs j WHERE j.job_key = v_letter.job_key AND j.finished_at IS NULL)
                    THEN 'running' ELSE 'superseded' END;
            END IF;
            RETURN 'redriven';
    END CASE;
    UPDATE app.dead_letters d SET state = 'redriven', resolved_at = clock_timestamp(), resolved_by = p_by
    WHERE d.dead_letter_id = p_dead_letter_id;
    RETURN 'redriven';
END $$;
