-- Open jobs that nothing would ever move: no open work at all. Published in /api/health; the figure is 0.
-- Whatever has open work has a live lease, a time when it is due, or waits in line for a worker.
CREATE OR REPLACE VIEW app.stranded_jobs AS
    SELECT j.job_key FROM app.jobs j
    WHERE j.status IN ('queued', 'processing') AND NOT EXISTS (SELECT 1 FROM app.queue q WHERE q.job_key = j.job_key);

-- Keep a run that mended something.
CREATE OR REPLACE FUNCTION app.record_janitor_run(p_type text, p_worker text, p_started timestamptz, p_fixed int, p_actions jsonb)
RETURNS int LANGUAGE sql AS $$
    INSERT INTO app.janitor_runs (run_type, worker, started_at, duration_ms, items_fixed, actions)
    SELECT p_type::app.janitor_run_type, p_worker, p_started, extract(epoch FROM clock_timestamp() - p_started) * 1000, p_fixed, p_actions
    WHERE p_fixed > 0;
    SELECT p_fixed;
$$;

-- Put expired leases through the failure path: the worker was killed, hung or cut off. Returns how many.
-- Reads the whole queue, some 15 ms at 100,000 rows: an index on leases would end HOT updates and cost each task 40 % more CPU.
CREATE OR REPLACE FUNCTION app.sweep_leases(p_worker text, p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_row record;
    v_count int := 0;
    v_lost text[] := '{}';
BEGIN
    FOR v_row IN
        SELECT q.queue_id, q.attempt, q.worker FROM app.queue q
        WHERE q.worker IS NOT NULL AND q.visible_at <= clock_timestamp() ORDER BY q.job_key, q.queue_id LIMIT p_limit
    LOOP
        IF app.fail_task(v_row.worker, v_row.queue_id, v_row.attempt, 'lost', 'LEASE_EXPIRED',
                         format('Worker %s stopped renewing its lease: killed, hung or cut off.', v_row.worker),
                         NULL, 0, true) <> 'stale' THEN
            v_count := v_count + 1;
            v_lost := v_lost || v_row.worker;
        END IF;
    END LOOP;
    IF v_count > 0 THEN
        PERFORM pg_notify('geomachine_work', 'sweep');
    END IF;
    RETURN app.record_janitor_run('leases', p_worker, v_started, v_count,
        jsonb_build_object('workers', (SELECT jsonb_agg(DISTINCT w) FROM unnest(v_lost) w)));
END $$;

-- Give a stranded job the open work it lacks: its open tasks, or the advance of its stage. No transition leaves a job so; what
-- may is a restored backup, or a hand in the tables. Returns how many jobs.
CREATE OR REPLACE FUNCTION app.mend_stranded(p_worker text, p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_job record;
    v_left int;
    v_failed int;
    v_count int := 0;
    v_ids text[] := '{}';
BEGIN
    FOR v_job IN
        SELECT j.job_key, j.job_id, j.stage FROM app.jobs j JOIN app.stranded_jobs s USING (job_key)
        ORDER BY j.job_key LIMIT p_limit FOR UPDATE OF j SKIP LOCKED
    LOOP
        -- Read again under the lock: what looked stranded may have moved on.
        CONTINUE WHEN NOT EXISTS (SELECT 1 FROM app.stranded_jobs s WHERE s.job_key = v_job.job_key);
        INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
        SELECT s.queue, t.job_key, t.stage, t.task_index, s.heavy, s.max_failures
        FROM app.tasks t JOIN app.stages s ON s.job_key = t.job_key AND s.stage = t.stage
        WHERE t.job_key = v_job.job_key AND t.stage = v_job.stage AND t.status IN ('pending', 'processing') AND s.status = 'processing';
        GET DIAGNOSTICS v_left = ROW_COUNT;
        SELECT count(*) INTO v_failed FROM app.tasks t
        WHERE t.job_key = v_job.job_key AND t.stage = v_job.stage AND t.status IN ('failed', 'cancelled');
        UPDATE app.stages s SET remaining = v_left, failed = v_failed,
            status = CASE WHEN v_left > 0 THEN s.status WHEN v_failed = 0 THEN 'completed'
                WHEN s.on_failure = 'partial' AND v_failed < s.expected THEN 'completed_with_errors' ELSE 'failed' END,
            finished_at = CASE WHEN v_left = 0 THEN clock_timestamp() END
        WHERE s.job_key = v_job.job_key AND s.stage = v_job.stage AND s.status = 'processing';
        IF v_left = 0 THEN
            INSERT INTO app.queue (queue, job_key, stage, task_index, heavy, max_failures)
            VALUES ('geospatial-jobs', v_job.job_key, v_job.stage, -1, false, 10);
        END IF;
        INSERT INTO app.job_events (job_key, stage, event_type, event_status, checkpoint_name, worker, event_data)
        VALUES (v_job.job_key, v_job.stage, 'status_update', 'warning', 'janitor_unstranded', p_worker,
                jsonb_build_object('reopened_tasks', v_left, 'advance', v_left = 0));
        v_count := v_count + 1;
        v_ids := v_ids || v_job.job_id;
    END LOOP;
    IF v_count > 0 THEN
        PERFORM pg_notify('geomachine_work', 'janitor');
    END IF;
    RETURN app.record_janitor_run('stranded', p_worker, v_started, v_count, jsonb_build_object('jobs', to_jsonb(v_ids)));
END $$;

-- Remove open work whose job has ended or is gone. Returns how many rows.
CREATE OR REPLACE FUNCTION app.remove_orphans(p_worker text, p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_started timestamptz := clock_timestamp();
    v_count int;
    v_jobs jsonb;
BEGIN
    WITH gone AS (
        DELETE FROM app.queue q WHERE q.queue_id IN (
            SELECT o.queue_id FROM app.queue o LEFT JOIN app.jobs j ON j.job_key = o.job_key
            WHERE j.job_key IS NULL OR j.finished_at IS NOT NULL ORDER BY o.queue_id LIMIT p_limit FOR UPDATE OF o SKIP LOCKED
        ) RETURNING q.job_key
    ), told AS (
        INSERT INTO app.job_events (job_key, event_type, event_status, checkpoint_name, worker, event_data)
        SELECT g.job_key, 'status_update', 'warning', 'janitor_orphans_removed', p_worker, jsonb_build_object('rows', count(*))
        FROM gone g JOIN app.jobs j ON j.job_key = g.job_key GROUP BY g.job_key
    )
    SELECT count(*), jsonb_agg(DISTINCT g.job_key) INTO v_count, v_jobs FROM gone g;
    RETURN app.record_janitor_run('orphans', p_worker, v_started, v_count, jsonb_build_object('job_keys', v_jobs));
END $$;
