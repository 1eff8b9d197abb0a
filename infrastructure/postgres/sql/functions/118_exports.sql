-- Nothing but public, approved data is ever promised to leave, whatever program asks for it.
CREATE OR REPLACE FUNCTION app.refuse_export() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM app.dataset_approvals a WHERE a.approval_id = NEW.payload ->> 'approval_id'
            AND a.classification = 'public' AND a.status = 'approved')
    THEN
        RAISE EXCEPTION 'app.outbox: % is not public and approved, so it does not leave', NEW.payload ->> 'approval_id'
            USING ERRCODE = 'check_violation', TABLE = 'outbox', CONSTRAINT = 'only_public_is_exported';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER only_public_is_exported AFTER INSERT ON app.outbox
    FOR EACH ROW WHEN (NEW.topic = 'adf') EXECUTE FUNCTION app.refuse_export();
