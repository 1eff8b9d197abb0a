-- Open work on its way to a broker and back. Rows of app.queue are the outbox; see core/machine/dispatch.py for the rule.

-- Hold rows that nobody holds and the broker has not heard of, or heard of long ago: a message may have been lost. The wait doubles
-- with every repetition, because a message that only stands in a long line is not lost. The caller sends them before it commits.
-- A round goes on after the last row of the batch before, or a wide stage would be read from its beginning for each batch.
CREATE OR REPLACE FUNCTION app.take_letters(p_limit int, p_resend double precision, p_except_queues text[], p_after bigint)
RETURNS TABLE (queue_id bigint, queue text, job_id text, stage int, task_index int, attempt int, number int, delay double precision)
LANGUAGE sql AS $$
    WITH due AS MATERIALIZED (
        SELECT q.* FROM app.queue q
        WHERE q.queue_id > p_after AND q.worker IS NULL AND q.queue <> ALL (p_except_queues)
            AND (q.dispatched_at IS NULL OR greatest(q.dispatched_at, q.visible_at)
                 + p_resend * power(2, least(greatest(q.dispatches - q.attempt - 1, 0), 8)) * interval '1 second' <= clock_timestamp())
        ORDER BY q.queue_id LIMIT p_limit FOR UPDATE SKIP LOCKED
    )
    SELECT d.queue_id, d.queue, j.job_id, d.stage, d.task_index, d.attempt, d.dispatches,
        greatest(extract(epoch FROM d.visible_at - clock_timestamp())::double precision, 0)
    FROM due d JOIN app.jobs j ON j.job_key = d.job_key ORDER BY d.queue_id;
$$;

-- Mark held rows as sent. A repetition is told in the job's history.
CREATE OR REPLACE FUNCTION app.letters_sent(p_queue_ids bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO app.job_events (job_key, stage, task_index, attempt, event_type, event_status, checkpoint_name, event_data)
    SELECT q.job_key, q.stage, nullif(q.task_index, -1), q.attempt, 'task_queued', 'warning', 'message_sent_again',
        jsonb_build_object('dispatches', q.dispatches + 1)
    FROM app.queue q WHERE q.queue_id = ANY (p_queue_ids) AND q.dispatched_at IS NOT NULL;
    UPDATE app.queue q SET dispatched_at = clock_timestamp(), dispatches = q.dispatches + 1 WHERE q.queue_id = ANY (p_queue_ids);
$$;

-- What a message that leads to no claim means. One that came too early is sent again when it is due.
CREATE OR REPLACE FUNCTION app.fate_of_letter(p_row app.queue, p_job_key bigint, p_stage int, p_task_index int, p_more_heavy boolean)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF p_row.worker IS NOT NULL THEN
        RETURN 'held';
    END IF;
    IF p_row.queue_id IS NOT NULL THEN
        UPDATE app.queue q SET dispatched_at = NULL WHERE q.queue_id = p_row.queue_id;
        RETURN CASE WHEN p_more_heavy THEN 'deferred' ELSE 'early' END;
    END IF;
    IF p_job_key IS NULL OR EXISTS (
        SELECT 1 FROM app.stages s WHERE s.job_key = p_job_key AND s.stage = p_stage AND p_task_index < s.expected
    ) THEN
        RETURN CASE WHEN p_job_key IS NULL THEN 'unknown' ELSE 'done' END;
    END IF;
    INSERT INTO app.job_events (job_key, stage, task_index, event_type, event_status)
    VALUES (p_job_key, p_stage, nullif(p_task_index, -1), 'task_not_found', 'warning');
    RETURN 'unknown';
END $$;

-- Lease the items that messages name: all that are light, and one that is heavy, since a worker runs one at a time.
-- One that has moved to a queue the caller does not serve is left alone: that queue has its message.
-- A row somebody locks is told as busy, and the caller asks for it again alone: only who holds no other row may wait for one.
CREATE OR REPLACE FUNCTION app.claim_letters(
    p_worker text, p_queues text[], p_job_ids text[], p_stages int[], p_indexes int[], p_lease double precision
) RETURNS TABLE (
    "position" int, fate text, queue_id bigint, job_key bigint, job_id text, job_type text, stage int, task_index int, attempt int, failures int,
    max_failures int, heavy boolean, task_type text, parameters jsonb, checkpoint_phase int, checkpoint_data jsonb,
    correlation_id text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_named record;
    v_row app.queue;
    v_found app.queue[] := '{}';
    v_positions int[] := '{}';
    v_heavy boolean := false;
BEGIN
    FOR v_named IN
        SELECT n.x::int AS x, n.stage AS s, n.task_index AS i, j.job_key AS k
        FROM unnest(p_job_ids, p_stages, p_indexes) WITH ORDINALITY AS n (job_id, stage, task_index, x)
        LEFT JOIN app.jobs j ON j.job_id = n.job_id AND j.superseded_at IS NULL
    LOOP
        IF cardinality(p_job_ids) = 1 THEN
            SELECT q.* INTO v_row FROM app.queue q
            WHERE q.job_key = v_named.k AND q.stage = v_named.s AND q.task_index = v_named.i FOR UPDATE;
        ELSE
            SELECT q.* INTO v_row FROM app.queue q
            WHERE q.job_key = v_named.k AND q.stage = v_named.s AND q.task_index = v_named.i FOR UPDATE SKIP LOCKED;
            IF NOT FOUND AND EXISTS (
                SELECT 1 FROM app.queue q WHERE q.job_key = v_named.k AND q.stage = v_named.s AND q.task_index = v_named.i
            ) THEN
                RETURN QUERY SELECT v_named.x, 'busy', (NULL::app.claimed_item).*;
                CONTINUE;
            END IF;
        END IF;
        IF v_row.worker IS NULL AND v_row.queue <> ALL (p_queues) THEN
            RETURN QUERY SELECT v_named.x, 'elsewhere', (NULL::app.claimed_item).*;
            CONTINUE;
        END IF;
        IF v_row.queue_id IS NULL OR v_row.worker IS NOT NULL OR v_row.visible_at > clock_timestamp() OR (v_row.heavy AND v_heavy) THEN
            RETURN QUERY SELECT v_named.x, app.fate_of_letter(v_row, v_named.k, v_named.s, v_named.i, v_row.heavy AND v_heavy),
                (NULL::app.claimed_item).*;
            CONTINUE;
        END IF;
        UPDATE app.queue q SET worker = p_worker, attempt = q.attempt + 1, visible_at = clock_timestamp() + p_lease * interval '1 second'
        WHERE q.queue_id = v_row.queue_id RETURNING q.* INTO v_row;
        IF v_row.task_index = -1 THEN
            INSERT INTO app.job_events (job_key, stage, attempt, event_type, event_status, worker)
            VALUES (v_row.job_key, v_row.stage, v_row.attempt, 'job_message_received', 'info', p_worker);
        END IF;
        v_heavy := v_heavy OR v_row.heavy;
        v_found := v_found || v_row;
        v_positions := v_positions || v_named.x;
    END LOOP;
    IF cardinality(v_positions) > 0 THEN
        RETURN QUERY SELECT f.x, 'claimed', s.*
            FROM (SELECT array_agg(i.queue_id) AS ids, array_agg(i.job_key) AS jobs, array_agg(i.stage) AS stages,
                      array_agg(i.task_index) AS indexes, array_agg(i.attempt) AS attempts, array_agg(i.failures) AS failures,
                      array_agg(i.max_failures) AS max, array_agg(i.heavy) AS heavy FROM unnest(v_found) i) c,
                app.start_items(p_worker, c.ids, c.jobs, c.stages, c.indexes, c.attempts, c.failures, c.max, c.heavy) s
            JOIN unnest(v_positions, v_found) AS f (x, queue_id) ON f.queue_id = s.queue_id;
    END IF;
END $$;

-- Keep a message that the broker gave up on. Open work is never lost with it: its row is sent again.
-- Told twice, because the broker's answer was lost, it is kept once.
CREATE OR REPLACE FUNCTION app.undeliverable(
    p_queue text, p_job_id text, p_stage int, p_task_index int, p_reason text, p_detail text, p_payload jsonb
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_job app.jobs;
    v_state text;
    v_open boolean;
BEGIN
    SELECT j.* INTO v_job FROM app.jobs j WHERE j.job_id = p_job_id AND j.superseded_at IS NULL;
    UPDATE app.queue q SET dispatched_at = CASE WHEN q.worker IS NULL THEN NULL ELSE q.dispatched_at END
    WHERE q.job_key = v_job.job_key AND q.stage = p_stage AND q.task_index = p_task_index;
    v_open := FOUND;
    v_state := CASE WHEN v_job.job_key IS NULL THEN 'open' WHEN v_open THEN 'redriven' ELSE 'discarded' END;
    INSERT INTO app.dead_letters (kind, cause, state, fingerprint, error_code, error_message, queue, job_key, job_id, job_type, stage,
                                  task_index, payload, resolved_at, resolved_by, resolution)
    SELECT 'message', 'broker', v_state::app.dead_letter_state, app.error_fingerprint('message', p_queue, p_reason, p_detail), p_reason, p_detail, p_queue,
        v_job.job_key, v_job.job_id, v_job.job_type, p_stage, p_task_index, p_payload,
        CASE WHEN v_state <> 'open' THEN clock_timestamp() END, CASE WHEN v_state <> 'open' THEN 'dispatcher' END,
        CASE v_state WHEN 'redriven' THEN 'Its work is open, so another message is sent.'
            WHEN 'discarded' THEN 'Its work was done, or had been cancelled.' END
    WHERE NOT EXISTS (
        SELECT 1 FROM app.dead_letters d WHERE d.kind = 'message' AND d.queue = p_queue
            AND d.payload -> 'sequence_number' = p_payload -> 'sequence_number' AND d.payload -> 'enqueued_at' = p_payload -> 'enqueued_at'
    );
    IF FOUND AND v_job.job_key IS NOT NULL THEN
        INSERT INTO app.job_events (job_key, stage, task_index, event_type, event_status, checkpoint_name, error_code, error_message)
        VALUES (v_job.job_key, p_stage, nullif(p_task_index, -1), 'status_update', 'warning', 'message_dead_lettered', p_reason,
                left(p_detail, 1000));
    END IF;
    RETURN v_state;
END $$;
