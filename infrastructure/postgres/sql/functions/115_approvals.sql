-- What drafts beside published data would put into the catalogue: an item each, and the tables that wait.
CREATE OR REPLACE VIEW app.draft_items AS
    SELECT a.artifact_id, a.stac_collection_id AS collection, coalesce(e.payload -> 'item', e.payload #> '{items,0}') AS content
    FROM app.artifacts a JOIN app.held_effects e ON e.artifact_id = a.artifact_id
    WHERE a.status = 'draft' AND e.kind IN ('UpsertStacItem', 'ExtendCollection');

CREATE OR REPLACE VIEW app.draft_tables AS
    SELECT a.artifact_id, e.payload ->> 'staging' AS staging, e.payload #>> '{catalog,title}' AS title,
        e.payload #>> '{catalog,description}' AS description, a.created_at
    FROM app.artifacts a JOIN app.held_effects e ON e.artifact_id = a.artifact_id
    WHERE a.status = 'draft' AND e.kind IN ('SwapFeatureTable', 'MergeFeatureTable') AND e.payload ->> 'schema' = 'geo';

-- Whose review is it? The dataset version where the job names one, else the first item.
CREATE OR REPLACE FUNCTION app.approval_subject(p_parameters jsonb, p_items jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        (p_parameters ->> 'dataset_id') || '|' || (p_parameters ->> 'resource_id') || '|' || (p_parameters ->> 'version_id'),
        (p_items #>> '{0,0}') || '/' || (p_items #>> '{0,1}'));
$$;

-- Give items to one review: others that hold them in one of these states lose them, and are superseded once none is left.
CREATE OR REPLACE FUNCTION app.take_over(p_approval_id text, p_states app.reviewed_item_state[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_losers text[];
BEGIN
    v_losers := ARRAY(
        SELECT a.approval_id FROM app.dataset_approvals a WHERE a.approval_id IN (
            SELECT o.approval_id FROM app.approval_items m JOIN app.approval_items o
                ON o.stac_collection_id = m.stac_collection_id AND o.stac_item_id = m.stac_item_id
            WHERE m.approval_id = p_approval_id AND o.approval_id <> p_approval_id AND o.state = ANY (p_states))
        ORDER BY a.approval_id FOR UPDATE);
    UPDATE app.approval_items o SET state = 'taken_over' FROM app.approval_items m
    WHERE m.approval_id = p_approval_id AND o.approval_id = ANY (v_losers) AND o.state = ANY (p_states)
        AND o.stac_collection_id = m.stac_collection_id AND o.stac_item_id = m.stac_item_id;
    UPDATE app.dataset_approvals a SET status = 'superseded', superseded_by = p_approval_id, changed_by = n.changed_by,
        updated_at = clock_timestamp()
    FROM app.dataset_approvals n WHERE n.approval_id = p_approval_id AND a.approval_id = ANY (v_losers) AND a.status IN ('pending', 'rejected', 'approved')
        AND NOT EXISTS (SELECT FROM app.approval_items i WHERE i.approval_id = a.approval_id AND i.state = ANY (p_states));
END $$;

-- Open the review of what a job made: one record and all its items, given as [[collection, item], ...]. Undecided and
-- refused reviews of the same items are taken over: there is one thing to look at.
CREATE OR REPLACE FUNCTION app.request_approval(p_job_key bigint, p_items jsonb, p_classification text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    v_id text := 'apr-' || replace(gen_random_uuid()::text, '-', '');
    v_subject text;
    v_by text;
    j app.jobs;
BEGIN
    SELECT * INTO STRICT j FROM app.jobs WHERE job_key = p_job_key;
    v_subject := app.approval_subject(j.parameters, p_items);
    -- A job belongs to a client; the request behind it knows who asked.
    v_by := coalesce((SELECT r.submitted_by FROM app.api_requests r WHERE r.job_id = j.job_id ORDER BY r.updated_at DESC LIMIT 1),
        j.submitted_by);
    PERFORM pg_advisory_xact_lock(7074, hashtext(v_subject));
    INSERT INTO app.dataset_approvals (
        approval_id, job_id, job_key, job_type, classification, subject, revision, dataset_id, resource_id, version_id, request_id,
        stac_collection_id, stac_item_id, item_count, client_id, submitted_by, changed_by)
    SELECT v_id, j.job_id, j.job_key, j.job_type, p_classification::app.access_level, v_subject,
        1 + coalesce((SELECT max(a.revision) FROM app.dataset_approvals a WHERE a.subject = v_subject), 0),
        j.parameters ->> 'dataset_id', j.parameters ->> 'resource_id', j.parameters ->> 'version_id', j.parameters ->> 'request_id',
        p_items #>> '{0,0}', p_items #>> '{0,1}', jsonb_array_length(p_items), j.submitted_by, v_by, v_by;
    INSERT INTO app.approval_items (approval_id, stac_collection_id, stac_item_id, state)
    SELECT v_id, i.item ->> 0, i.item ->> 1, 'taken_over' FROM jsonb_array_elements(p_items) AS i (item);
    PERFORM app.take_over(v_id, '{open}');
    UPDATE app.approval_items SET state = 'open' WHERE approval_id = v_id;
    -- What this run made is reviewed here; drafts that others made of the same items will not be put in place any more.
    UPDATE app.artifacts a SET approval_id = v_id FROM app.approval_items i
    WHERE i.approval_id = v_id AND a.stac_collection_id = i.stac_collection_id AND a.stac_item_id = i.stac_item_id
        AND a.job_key = p_job_key AND a.status IN ('draft', 'current');
    UPDATE app.artifacts a SET status = 'superseded', superseded_by = n.artifact_id, superseded_at = clock_timestamp()
    FROM app.artifacts n
    WHERE n.approval_id = v_id AND a.stac_collection_id = n.stac_collection_id AND a.stac_item_id = n.stac_item_id
        AND a.status = 'draft' AND a.revision < n.revision;
    INSERT INTO app.job_events (job_key, event_type, event_status, checkpoint_name, event_data)
    VALUES (p_job_key, 'checkpoint', 'success', 'review_opened', jsonb_build_object('approval_id', v_id, 'access_level', p_classification));
    -- A policy that may decide looks at it once all of this is written.
    INSERT INTO app.outbox (topic, dedup_key, payload)
    SELECT 'policy', v_id, jsonb_build_object('approval_id', v_id, 'job_key', p_job_key)
    FROM app.policy_for(j.parameters ->> 'dataset_id', p_classification::app.access_level) p WHERE p.auto_approve;
    RETURN v_id;
END $$;

-- Open the review of a revision that is brought back. It belongs to no run of a job; its classification is that of its last review.
CREATE OR REPLACE FUNCTION app.request_restoration(p_artifact_id text, p_by text, p_client_id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_id text := 'apr-' || replace(gen_random_uuid()::text, '-', '');
    v_subject text;
    a app.artifacts;
BEGIN
    SELECT * INTO STRICT a FROM app.artifacts WHERE artifact_id = p_artifact_id;
    v_subject := app.approval_subject(to_jsonb(a), jsonb_build_array(jsonb_build_array(a.stac_collection_id, a.stac_item_id)));
    PERFORM pg_advisory_xact_lock(7074, hashtext(v_subject));
    INSERT INTO app.dataset_approvals (
        approval_id, job_id, job_type, classification, subject, revision, dataset_id, resource_id, version_id, request_id,
        stac_collection_id, stac_item_id, client_id, submitted_by, changed_by)
    SELECT v_id, r.job_id, r.job_type, r.classification, v_subject,
        1 + coalesce((SELECT max(o.revision) FROM app.dataset_approvals o WHERE o.subject = v_subject), 0),
        a.dataset_id, a.resource_id, a.version_id, a.request_id, a.stac_collection_id, a.stac_item_id, p_client_id, p_by, p_by
    FROM app.dataset_approvals r JOIN app.artifacts o ON o.approval_id = r.approval_id WHERE o.artifact_id = a.supersedes;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'artifact % was never reviewed', a.supersedes USING ERRCODE = 'GM002';
    END IF;
    INSERT INTO app.approval_items (approval_id, stac_collection_id, stac_item_id, state)
    VALUES (v_id, a.stac_collection_id, a.stac_item_id, 'taken_over');
    PERFORM app.take_over(v_id, '{open}');
    UPDATE app.approval_items SET state = 'open' WHERE approval_id = v_id;
    UPDATE app.artifacts o SET status = 'superseded', superseded_by = a.artifact_id, superseded_at = clock_timestamp()
    WHERE o.stac_collection_id = a.stac_collection_id AND o.stac_item_id = a.stac_item_id AND o.status = 'draft'
        AND o.artifact_id <> a.artifact_id;
    UPDATE app.artifacts SET approval_id = v_id WHERE artifact_id = a.artifact_id;
    RETURN v_id;
END $$;

-- An item is gone from the catalogue: no review speaks of it any more. An undecided review without items goes too; one that
-- published them is revoked.
CREATE OR REPLACE FUNCTION app.withdraw_item(p_collection_id text, p_item_id text, p_by text, p_reason text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_touched text[];
BEGIN
    WITH withdrawn AS (
        UPDATE app.approval_items i SET state = 'withdrawn'
        WHERE i.stac_collection_id = p_collection_id AND i.stac_item_id = p_item_id AND i.state IN ('open', 'published')
        RETURNING i.approval_id
    )
    SELECT array_agg(w.approval_id) INTO v_touched FROM withdrawn w;
    -- Its files and tables go with it; drafts are tidied away after their time.
    UPDATE app.artifacts a SET status = 'deleted', deleted_at = clock_timestamp(), files_deleted_at = clock_timestamp()
    WHERE a.stac_collection_id = p_collection_id AND a.stac_item_id = p_item_id AND a.status = 'current';
    UPDATE app.artifacts a SET status = 'superseded', superseded_at = clock_timestamp()
    WHERE a.stac_collection_id = p_collection_id AND a.stac_item_id = p_item_id AND a.status = 'draft';
    UPDATE app.dataset_approvals a SET status = 'revoked', revoked_at = clock_timestamp(), revoked_by = p_by,
        revocation_reason = p_reason, changed_by = p_by, updated_at = clock_timestamp()
    WHERE a.approval_id = ANY (v_touched) AND a.status = 'approved'
        AND NOT EXISTS (SELECT FROM app.approval_items i WHERE i.approval_id = a.approval_id AND i.state = 'published');
    DELETE FROM app.dataset_approvals a
    WHERE a.approval_id = ANY (v_touched) AND a.status = 'pending'
        AND NOT EXISTS (SELECT FROM app.approval_items i WHERE i.approval_id = a.approval_id AND i.state = 'open');
END $$;

-- Every step of a record is remembered, whoever takes it.
CREATE OR REPLACE FUNCTION app.remember_approval() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_change bigint;
BEGIN
    INSERT INTO app.approval_history (approval_id, from_status, to_status, by, reason)
    VALUES (NEW.approval_id, CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.changed_by,
        CASE NEW.status WHEN 'approved' THEN NEW.notes WHEN 'rejected' THEN NEW.rejection_reason WHEN 'revoked' THEN NEW.revocation_reason
            WHEN 'superseded' THEN NEW.superseded_by END)
    RETURNING change_id INTO v_change;
    IF NEW.status IN ('approved', 'rejected', 'revoked') THEN
        PERFORM app.promise_webhooks('approval.' || NEW.status, NEW.job_id, NEW.job_key, v_change::text, jsonb_build_object(
            'approval_id', NEW.approval_id, 'status', NEW.status, 'revision', NEW.revision, 'by', NEW.changed_by,
            'reason', CASE NEW.status WHEN 'rejected' THEN NEW.rejection_reason WHEN 'revoked' THEN NEW.revocation_reason END));
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER remembers_creation AFTER INSERT ON app.dataset_approvals
    FOR EACH ROW EXECUTE FUNCTION app.remember_approval();
CREATE OR REPLACE TRIGGER remembers_change AFTER UPDATE OF status ON app.dataset_approvals
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION app.remember_approval();

-- The policy for a record: of its dataset, else of its classification, else the default; no row where none is stored.
CREATE OR REPLACE FUNCTION app.policy_for(p_dataset_id text, p_classification app.access_level) RETURNS SETOF app.approval_policies
LANGUAGE sql STABLE AS $$
    SELECT * FROM app.approval_policies p
    WHERE p.scope IN ('dataset:' || p_dataset_id, 'classification:' || p_classification, 'default')
    ORDER BY p.scope LIKE 'dataset:%' DESC, p.scope LIKE 'classification:%' DESC LIMIT 1;
$$;
