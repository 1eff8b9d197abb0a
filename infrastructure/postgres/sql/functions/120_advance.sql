-- Take the advance item away: true when the caller still holds it. A late duplicate finds nothing and changes nothing.
CREATE OR REPLACE FUNCTION app.take_advance(p_worker text, p_queue_id bigint, p_attempt int) RETURNS bigint LANGUAGE sql AS $$
    DELETE FROM app.queue q WHERE q.queue_id = p_queue_id AND q.attempt = p_attempt AND q.worker = p_worker AND q.task_index = -1
    RETURNING q.job_key;
$$;

-- Turn a finished stage into the next one.
CREATE OR REPLACE FUNCTION app.advance_job(
    p_worker text, p_queue_id bigint, p_attempt int, p_stage int, p_name text, p_task_type text, p_queue text, p_heavy boolean,
    p_max_failures int, p_keys text[], p_parameters text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_job_key bigint := app.take_advance(p_worker, p_queue_id, p_attempt);
BEGIN
    IF v_job_key IS NULL THEN
        RETURN false;
    END IF;
    PERFORM app.create_stage(v_job_key, p_stage, p_name, p_task_type, p_queue, p_heavy, p_max_failures, p_keys, p_parameters);
    -- A job whose first stages were empty was never claimed for a task.
    UPDATE app.jobs j SET stage = p_stage, status = 'processing', started_at = coalesce(j.started_at, clock_timestamp()),
        updated_at = clock_timestamp()
    WHERE j.job_key = v_job_key AND j.status IN ('queued', 'processing');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % is finished and cannot advance to stage %', v_job_key, p_stage;
    END IF;
    RETURN true;
END $$;

-- Finish a job: result, approval record and outbox rows in the transaction that makes it completed.
CREATE OR REPLACE FUNCTION app.finish_job(
    p_worker text, p_queue_id bigint, p_attempt int, p_result jsonb,
    p_collection_id text, p_item_id text, p_classification text, p_callbacks text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_job_key bigint := app.take_advance(p_worker, p_queue_id, p_attempt);
    v_job app.jobs;
BEGIN
    IF v_job_key IS NULL THEN
        RETURN false;
    END IF;
    UPDATE app.jobs j SET status = 'completed', result = p_result, started_at = coalesce(j.started_at, clock_timestamp()),
        finished_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE j.job_key = v_job_key AND j.status IN ('queued', 'processing')
    RETURNING j.* INTO v_job;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'job % is finished and cannot finish again', v_job_key;
    END IF;
    INSERT INTO app.job_events (job_key, stage, event_type, event_status, worker, duration_ms)
    VALUES (v_job_key, v_job.stage, 'job_completed', 'success', p_worker,
            extract(epoch FROM v_job.finished_at - v_job.created_at) * 1000);
    IF p_item_id IS NOT NULL THEN
        PERFORM app.request_approval(v_job, p_collection_id, p_item_id, p_classification);
    END IF;
    INSERT INTO app.outbox (topic, dedup_key, payload)
    SELECT c, v_job_key::text, jsonb_build_object('job_id', v_job.job_id, 'job_type', v_job.job_type, 'status', v_job.status)
    FROM unnest(p_callbacks) AS c;
    PERFORM pg_notify('geomachine_done', v_job.job_id);
    RETURN true;
END $$;

-- Open the review of what a job made. A pending review of the same item is taken over: there is one thing to look at.
CREATE OR REPLACE FUNCTION app.request_approval(p_job app.jobs, p_collection_id text, p_item_id text, p_classification text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO app.dataset_approvals (approval_id, job_id, job_key, job_type, classification, stac_collection_id, stac_item_id)
    VALUES ('apr-' || replace(gen_random_uuid()::text, '-', ''), p_job.job_id, p_job.job_key, p_job.job_type,
            p_classification::app.access_level, p_collection_id, p_item_id)
    ON CONFLICT (stac_collection_id, stac_item_id) WHERE status = 'pending' DO UPDATE
    SET job_id = excluded.job_id, job_key = excluded.job_key, job_type = excluded.job_type,
        classification = excluded.classification, updated_at = clock_timestamp();
END $$;
