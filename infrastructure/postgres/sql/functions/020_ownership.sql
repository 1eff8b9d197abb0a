-- What a foreign key says, once a statement instead of once a row: tasks belong to a stage, events to a job. A key would look its
-- row up a hundred thousand times when a wide stage is made, and lock the job's row for every event of every worker.
CREATE OR REPLACE FUNCTION app.refuse_ownerless() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_job_key bigint;
BEGIN
    IF TG_TABLE_NAME = 'tasks' THEN
        SELECT m.job_key INTO v_job_key FROM (SELECT DISTINCT n.job_key, n.stage FROM made n) m
        WHERE NOT EXISTS (SELECT 1 FROM app.stages s WHERE s.job_key = m.job_key AND s.stage = m.stage) LIMIT 1;
    ELSE
        SELECT m.job_key INTO v_job_key FROM (SELECT DISTINCT n.job_key FROM made n) m
        WHERE NOT EXISTS (SELECT 1 FROM app.jobs j WHERE j.job_key = m.job_key) LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION '%.%: job % or its stage does not exist', TG_TABLE_SCHEMA, TG_TABLE_NAME, v_job_key
            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

-- And its ON DELETE CASCADE.
CREATE OR REPLACE FUNCTION app.delete_owned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'stages' THEN
        DELETE FROM app.tasks t WHERE t.job_key = OLD.job_key AND t.stage = OLD.stage;
    ELSE
        DELETE FROM app.job_events e WHERE e.job_key = OLD.job_key;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER belongs_to_stage AFTER INSERT ON app.tasks REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_ownerless();
CREATE OR REPLACE TRIGGER belongs_to_job AFTER INSERT ON app.job_events REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION app.refuse_ownerless();
CREATE OR REPLACE TRIGGER deletes_tasks AFTER DELETE ON app.stages FOR EACH ROW EXECUTE FUNCTION app.delete_owned();
CREATE OR REPLACE TRIGGER deletes_events AFTER DELETE ON app.jobs FOR EACH ROW EXECUTE FUNCTION app.delete_owned();
