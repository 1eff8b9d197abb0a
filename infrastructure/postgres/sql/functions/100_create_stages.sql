-- A planned stage. `tasks` is how many of the flattened task arrays, in order, are its own.
DO $$ BEGIN
    IF to_regtype('app.new_stage') IS NULL THEN
        CREATE TYPE app.new_stage AS (
            job_key bigint, stage int, name text, task_type text, queue text, heavy boolean, max_failures int, on_failure text, tasks int
        );
    END IF;
END $$;

-- Insert stages with all their tasks and queue rows: the tasks can be claimed only after the caller commits, so no
-- worker ever sees half a stage. A stage without tasks is born complete and leaves its advance item at once.
CREATE OR REPLACE FUNCTION app.create_stages(p_stages app.new_stage[], p_keys text[], p_parameters text[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_first int := 0;
    s app.new_stage;
BEGIN
    INSERT INTO app.stages (job_key, stage, name, task_type, queue, heavy, max_failures, on_failure, expected, remaining, status, finished_at)
    SELECT n.job_key, n.stage, n.name, n.task_type, n.queue, n.heavy, n.max_failures, n.on_failure::app.failure_policy, n.tasks, n.tasks,
        CASE WHEN n.tasks = 0 THEN 'completed' ELSE 'processing' END::app.stage_status, CASE WHEN n.tasks = 0 THEN clock_timestamp() END
    FROM unnest(p_stages) n;
    IF cardinality(p_stages) = 1 THEN
        s := p_stages[1];
        INSERT INTO app.tasks (job_key, stage, task_index, task_key, task_type, parameters)
        SELECT s.job_key, s.stage, t.n - 1, t.key, s.task_type, t.parameters::jsonb
        FROM unnest(p_keys, p_parameters) WITH ORDINALITY AS t (key, parameters, n);
        INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
        SELECT s.queue, s.job_key, s.stage, n - 1, s.heavy, s.max_failures FROM generate_series(1, s.tasks) AS n;
    ELSE
        WITH owned AS (
            SELECT n.*, g.n AS position FROM (
                SELECT u.*, sum(u.tasks) OVER (ROWS UNBOUNDED PRECEDING) - u.tasks AS tasks_before FROM unnest(p_stages) u
            ) n, generate_series(1, n.tasks) AS g (n)
        ), made AS (
            INSERT INTO app.tasks (job_key, stage, task_index, task_key, task_type, parameters)
            SELECT o.job_key, o.stage, o.position - 1, t.key, o.task_type, t.parameters::jsonb
            FROM owned o JOIN unnest(p_keys, p_parameters) WITH ORDINALITY AS t (key, parameters, n) ON t.n = o.tasks_before + o.position
        )
        INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
        SELECT o.queue, o.job_key, o.stage, o.position - 1, o.heavy, o.max_failures FROM owned o;
    END IF;
    INSERT INTO app.job_events (job_key, stage, event_type, event_status, event_data)
    SELECT n.job_key, n.stage, 'stage_started', 'success', jsonb_build_object('name', n.name, 'tasks', n.tasks, 'queue', n.queue)
    FROM unnest(p_stages) n;
    IF EXISTS (SELECT 1 FROM unnest(p_stages) n WHERE n.tasks = 0) THEN
        INSERT INTO app.job_events (job_key, stage, event_type, event_status)
        SELECT n.job_key, n.stage, 'stage_completed', 'success' FROM unnest(p_stages) n WHERE n.tasks = 0;
        INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
        SELECT 'geospatial-jobs', n.job_key, n.stage, -1, false, 10 FROM unnest(p_stages) n WHERE n.tasks = 0;
    END IF;
    -- A lone light task is claimed next by the worker that made it; waking the others would only make them collide.
    PERFORM pg_notify('geomachine_work', w.queue)
    FROM (SELECT DISTINCT n.queue FROM unnest(p_stages) n WHERE n.tasks <> 1 OR n.heavy OR n.stage = 1) w;
END $$;

-- Accept a job. The same job_id is accepted once; a failed or cancelled one, and with p_rerun a completed one, gets a
-- new run beside the old row.
CREATE OR REPLACE FUNCTION app.submit_job(
    p_job_id text, p_job_type text, p_parameters jsonb, p_total_stages int, p_submitted_by text, p_correlation_id text,
    p_callbacks text[], p_rerun boolean, p_name text, p_task_type text, p_queue text, p_heavy boolean, p_max_failures int,
    p_on_failure text, p_keys text[], p_stage_parameters text[]
) RETURNS TABLE (job_key bigint, created boolean, run int) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    v_run int;
    v_old_key bigint;
    v_job_key bigint;
BEGIN
    UPDATE app.jobs j SET superseded_at = clock_timestamp()
    WHERE j.job_id = p_job_id AND j.superseded_at IS NULL
        AND (j.status IN ('failed', 'cancelled') OR (p_rerun AND j.status IN ('completed', 'completed_with_errors')))
    RETURNING j.run + 1, j.job_key INTO v_run, v_old_key;
    IF v_old_key IS NOT NULL THEN
        -- What is done again from the start needs nobody's decision any more.
        UPDATE app.dead_letters d SET state = 'redriven', resolved_at = clock_timestamp(), resolved_by = coalesce(p_submitted_by, 'submit'),
            resolution = coalesce(d.resolution, format('run %s', v_run))
        WHERE d.job_key = v_old_key AND d.state = 'open' AND d.kind = 'task';
    END IF;
    INSERT INTO app.jobs AS j (job_id, run, job_type, parameters, total_stages, submitted_by, correlation_id, callbacks)
    VALUES (p_job_id, coalesce(v_run, 1), p_job_type, p_parameters, p_total_stages, p_submitted_by, p_correlation_id, to_jsonb(p_callbacks))
    ON CONFLICT DO NOTHING
    RETURNING j.job_key INTO v_job_key;
    IF v_job_key IS NULL THEN
        RETURN QUERY SELECT j.job_key, false, j.run FROM app.jobs j WHERE j.job_id = p_job_id AND j.superseded_at IS NULL;
        RETURN;
    END IF;
    INSERT INTO app.job_events (job_key, event_type, event_status, event_data)
    VALUES (v_job_key, 'job_created', 'success', jsonb_build_object('job_type', p_job_type, 'run', coalesce(v_run, 1)));
    PERFORM app.create_stages(
        ARRAY[ROW(v_job_key, 1, p_name, p_task_type, p_queue, p_heavy, p_max_failures, p_on_failure, cardinality(p_keys))::app.new_stage],
        p_keys, p_stage_parameters);
    RETURN QUERY SELECT v_job_key, true, coalesce(v_run, 1);
END $$;
