-- Promise an event to every request that a job carries out and that named an address. Its id is kept however often it is sent.
CREATE OR REPLACE FUNCTION app.promise_webhooks(p_type text, p_job_id text, p_job_key bigint, p_id text, p_data jsonb) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO app.outbox (topic, dedup_key, payload)
    SELECT 'webhook', p_type || ':' || p_id || ':' || r.request_id, jsonb_build_object(
        'id', p_type || ':' || p_id || ':' || r.request_id, 'type', p_type, 'request_id', r.request_id, 'client_id', r.client_id,
        'url', r.callback_url, 'time', clock_timestamp(), 'job_key', p_job_key,
        'data', jsonb_strip_nulls(jsonb_build_object('request_id', r.request_id, 'dataset_id', r.dataset_id, 'resource_id', r.resource_id,
            'version_id', r.version_id, 'job_id', p_job_id, 'status_url', '/api/platform/status/' || r.request_id) || p_data))
    FROM app.api_requests r WHERE r.job_id = p_job_id AND r.callback_url IS NOT NULL
    ON CONFLICT (topic, dedup_key) DO NOTHING;
$$;
