-- Insert a stage with all its tasks and their queue rows: the tasks can be claimed only after the caller commits,
-- so no worker ever sees half a stage. A stage without tasks is born complete and leaves its advance item at once.
CREATE OR REPLACE FUNCTION app.create_stage(
    p_job_key bigint, p_stage int, p_name text, p_task_type text, p_queue text, p_heavy boolean, p_max_failures int,
    p_keys text[], p_parameters text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_count int := cardinality(p_keys);
BEGIN
    INSERT INTO app.stages (job_key, stage, name, task_type, queue, expected, remaining, status, finished_at)
    VALUES (p_job_key, p_stage, p_name, p_task_type, p_queue, v_count, v_count,
            CASE WHEN v_count = 0 THEN 'completed' ELSE 'processing' END::app.stage_status,
            CASE WHEN v_count = 0 THEN clock_timestamp() END);
    INSERT INTO app.tasks (job_key, stage, task_index, task_key, task_type, parameters)
    SELECT p_job_key, p_stage, n - 1, k, p_task_type, p::jsonb
    FROM unnest(p_keys, p_parameters) WITH ORDINALITY AS t (k, p, n);
    INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
    SELECT p_queue, p_job_key, p_stage, n - 1, p_heavy, p_max_failures FROM generate_series(1, v_count) AS n;
    INSERT INTO app.job_events (job_key, stage, event_type, event_status, event_data)
    VALUES (p_job_key, p_stage, 'stage_started', 'success',
            jsonb_build_object('name', p_name, 'tasks', v_count, 'queue', p_queue));
    IF v_count = 0 THEN
        INSERT INTO app.job_events (job_key, stage, event_type, event_status)
        VALUES (p_job_key, p_stage, 'stage_completed', 'success');
        INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
        VALUES ('geospatial-jobs', p_job_key, p_stage, -1, false, 10);
    END IF;
    -- A lone task is claimed next by the worker that made it; waking the others would only make them collide.
    IF v_count <> 1 OR p_heavy OR p_stage = 1 THEN
        PERFORM pg_notify('geomachine_work', p_queue);
    END IF;
END $$;

-- Accept a job. The same job_id is accepted once; a failed or cancelled one, and with p_rerun a completed one, gets a
-- new run beside the old row.
CREATE OR REPLACE FUNCTION app.submit_job(
    p_job_id text, p_job_type text, p_parameters jsonb, p_total_stages int, p_submitted_by text, p_correlation_id text,
    p_rerun boolean, p_name text, p_task_type text, p_queue text, p_heavy boolean, p_max_failures int, p_keys text[], p_stage_parameters text[]
) RETURNS TABLE (job_key bigint, created boolean, run int) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_run int := 1;
BEGIN
    UPDATE app.jobs j SET superseded_at = clock_timestamp()
    WHERE j.job_id = p_job_id AND j.superseded_at IS NULL AND (j.status IN ('failed', 'cancelled') OR (p_rerun AND j.status IN ('completed', 'completed_with_errors')))
    RETURNING j.run + 1 INTO v_run;
    RETURN QUERY
        INSERT INTO app.jobs AS j (job_id, run, job_type, parameters, total_stages, submitted_by, correlation_id)
        VALUES (p_job_id, coalesce(v_run, 1), p_job_type, p_parameters, p_total_stages, p_submitted_by, p_correlation_id)
        ON CONFLICT DO NOTHING
        RETURNING j.job_key, true, j.run;
    IF NOT FOUND THEN
        RETURN QUERY SELECT j.job_key, false, j.run FROM app.jobs j WHERE j.job_id = p_job_id AND j.superseded_at IS NULL;
        RETURN;
    END IF;
    SELECT j.job_key INTO job_key FROM app.jobs j WHERE j.job_id = p_job_id AND j.superseded_at IS NULL;
    INSERT INTO app.job_events (job_key, event_type, event_status, event_data)
    VALUES (job_key, 'job_created', 'success', jsonb_build_object('job_type', p_job_type, 'run', coalesce(v_run, 1)));
    PERFORM app.create_stage(job_key, 1, p_name, p_task_type, p_queue, p_heavy, p_max_failures, p_keys, p_stage_parameters);
END $$;
