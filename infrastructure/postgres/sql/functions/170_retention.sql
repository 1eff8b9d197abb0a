-- Ended jobs that may be archived: no person has to look at a dead letter of theirs.
CREATE OR REPLACE VIEW app.archivable_jobs AS
    SELECT j.job_key, j.finished_at FROM app.jobs j
    WHERE j.archived_at IS NULL AND j.finished_at IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM app.dead_letters d WHERE d.job_key = j.job_key AND d.state = 'open');

-- Archived jobs that may be dropped: no review refers to them.
CREATE OR REPLACE VIEW app.droppable_jobs AS
    SELECT j.job_key, j.finished_at FROM app.jobs j
    WHERE j.archived_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM app.dataset_approvals a WHERE a.job_key = j.job_key);

-- Archive jobs that ended before a time: stages, tasks and events go, the row with parameters, result and error stays.
-- Resolved letters go with them; an open dead letter keeps its job. Claims never see any of these rows. Returns how many jobs.
CREATE OR REPLACE FUNCTION app.archive_jobs(p_before timestamptz, p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_keys bigint[];
BEGIN
    v_keys := ARRAY(
        SELECT j.job_key FROM app.archivable_jobs j WHERE j.finished_at < p_before
        ORDER BY j.finished_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    DELETE FROM app.stages s WHERE s.job_key = ANY (v_keys);
    DELETE FROM app.job_events e WHERE e.job_key = ANY (v_keys);
    DELETE FROM app.dead_letters d WHERE d.job_key = ANY (v_keys);
    UPDATE app.jobs j SET archived_at = clock_timestamp() WHERE j.job_key = ANY (v_keys);
    RETURN cardinality(v_keys);
END $$;

-- Drop archived jobs that ended before a time, but for those that a review refers to. Returns how many.
CREATE OR REPLACE FUNCTION app.drop_jobs(p_before timestamptz, p_limit int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_count int;
BEGIN
    DELETE FROM app.jobs j WHERE j.job_key IN (
        SELECT o.job_key FROM app.droppable_jobs o WHERE o.finished_at < p_before
        ORDER BY o.finished_at LIMIT p_limit FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
