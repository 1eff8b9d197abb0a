-- name: lock_request
-- Let one transaction at a time decide about a request, whether its row exists yet or not.
SELECT pg_advisory_xact_lock(7072, hashtext(%(request_id)s))

-- name: find_request
-- A request and how its job is.
SELECT r.*, j.job_type, j.status AS job_status
FROM app.api_requests r JOIN app.jobs j ON j.job_id = r.job_id AND j.superseded_at IS NULL
WHERE r.request_id = %(id)s

-- name: find_request_by_job
-- The newest request that a job carries out.
SELECT r.*, j.job_type, j.status AS job_status
FROM app.api_requests r JOIN app.jobs j ON j.job_id = r.job_id AND j.superseded_at IS NULL
WHERE r.job_id = %(id)s ORDER BY r.created_at DESC LIMIT 1

-- name: list_requests
-- The newest requests, of one dataset and one client if asked.
SELECT r.*, j.job_type, j.status AS job_status
FROM app.api_requests r JOIN app.jobs j ON j.job_id = r.job_id AND j.superseded_at IS NULL
WHERE (%(dataset_id)s::text IS NULL OR r.dataset_id = %(dataset_id)s)
    AND (%(client_id)s::text IS NULL OR r.client_id = %(client_id)s)
ORDER BY r.created_at DESC, r.request_id LIMIT %(limit)s

-- name: save_request
-- Write a request, or point it at the job that processes it again.
INSERT INTO app.api_requests AS r (
    request_id, dataset_id, resource_id, version_id, client_id, operation, data_type, job_id, source_container, source_path,
    source_etag, source_size, access_level, callback_url, request, routing, submitted_by
) VALUES (
    %(request_id)s, %(dataset_id)s, %(resource_id)s, %(version_id)s, %(client_id)s, %(operation)s, %(data_type)s::app.data_type,
    %(job_id)s, %(source_container)s, %(source_path)s, %(source_etag)s, %(source_size)s, %(access_level)s::app.access_level,
    %(callback_url)s, %(request)s::jsonb, %(routing)s, %(submitted_by)s
)
ON CONFLICT (request_id) DO UPDATE SET
    operation = excluded.operation, job_id = excluded.job_id, data_type = excluded.data_type, source_container = excluded.source_container,
    source_path = excluded.source_path, source_etag = excluded.source_etag, source_size = excluded.source_size,
    access_level = excluded.access_level, callback_url = excluded.callback_url, request = excluded.request, routing = excluded.routing, submitted_by = excluded.submitted_by,
    retry_count = r.retry_count + 1, updated_at = clock_timestamp()
