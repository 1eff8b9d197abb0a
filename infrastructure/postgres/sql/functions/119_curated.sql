-- An update of a curated dataset is logged by the transaction that accepts its job, and its log is closed by the one that ends
-- the job, whatever starts and ends it. A dry run is no update.
CREATE OR REPLACE FUNCTION app.follow_curated_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE app.curated_datasets SET last_job_id = NEW.job_id WHERE dataset_id = NEW.parameters ->> 'dataset_id';
        IF FOUND THEN
            INSERT INTO app.curated_update_log (dataset_id, job_id, update_type, scheduled_for)
            VALUES (NEW.parameters ->> 'dataset_id', NEW.job_id, (NEW.parameters ->> 'update_type')::app.curated_update_type,
                (NEW.parameters ->> 'occurrence')::timestamptz);
        END IF;
    ELSE
        UPDATE app.curated_update_log SET completed_at = NEW.finished_at, message = coalesce(NEW.error_message, NEW.error_code),
            status = CASE WHEN NEW.status = 'cancelled' THEN 'cancelled' WHEN NEW.status = 'failed' THEN 'failed'
                ELSE 'completed' END::app.curated_update_status
        WHERE job_id = NEW.job_id AND completed_at IS NULL;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER curated_update_starts AFTER INSERT ON app.jobs FOR EACH ROW
    WHEN (NEW.job_type = 'curated_dataset_update' AND NEW.parameters ->> 'dry_run' = 'false')
    EXECUTE FUNCTION app.follow_curated_update();
CREATE OR REPLACE TRIGGER curated_update_ends AFTER UPDATE OF status ON app.jobs FOR EACH ROW
    WHEN (NEW.job_type = 'curated_dataset_update' AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION app.follow_curated_update();

-- Whatever made an update fail, somebody is told.
CREATE OR REPLACE FUNCTION app.promise_curated_alert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO app.outbox (topic, dedup_key, payload)
    SELECT 'curated-update-alerts', NEW.log_id::text, jsonb_build_object('alert', 'failed', 'dataset_id', d.dataset_id, 'name', d.name,
        'job_id', NEW.job_id, 'update_type', NEW.update_type, 'reason', NEW.message, 'log_id', NEW.log_id)
    FROM app.curated_datasets d WHERE d.dataset_id = NEW.dataset_id
    ON CONFLICT (topic, dedup_key) DO NOTHING;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER curated_failure_is_told AFTER INSERT OR UPDATE OF status ON app.curated_update_log FOR EACH ROW
    WHEN (NEW.status = 'failed') EXECUTE FUNCTION app.promise_curated_alert();
