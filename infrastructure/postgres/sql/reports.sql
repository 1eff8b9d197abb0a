-- name: failures_counted
-- Runs that ended within the last hours, and how many of them failed; of one submitter if asked.
SELECT count(*) AS total, count(*) FILTER (WHERE j.status = 'failed') AS failed
FROM app.jobs j
WHERE j.archived_at IS NULL AND j.finished_at >= clock_timestamp() - make_interval(hours => %(hours)s)
    AND (%(submitted_by)s::text IS NULL OR j.submitted_by = %(submitted_by)s)

-- name: failures_grouped
-- Failed runs of the last hours by what went wrong, numbers and names left out of the message; the commonest first.
SELECT app.error_fingerprint('job', j.job_type, j.error_code, j.error_message) AS fingerprint, j.error_code, j.job_type,
    count(*) AS count, min(j.finished_at) AS first_seen, max(j.finished_at) AS last_seen,
    (array_agg(j.error_message ORDER BY j.finished_at DESC))[1] AS example,
    (array_agg(j.error_hint ORDER BY j.finished_at DESC))[1] AS hint,
    (array_agg(j.job_id ORDER BY j.finished_at DESC))[1:5] AS job_ids
FROM app.jobs j
WHERE j.status = 'failed' AND j.archived_at IS NULL AND j.finished_at >= clock_timestamp() - make_interval(hours => %(hours)s)
    AND (%(submitted_by)s::text IS NULL OR j.submitted_by = %(submitted_by)s)
GROUP BY fingerprint, j.error_code, j.job_type ORDER BY count DESC, last_seen DESC LIMIT %(limit)s

-- name: failures_latest
-- The last failed runs, with the requests they were for.
SELECT j.job_id, j.run, j.job_type, j.stage, j.error_code, j.error_message, j.error_hint, j.finished_at AS failed_at,
    r.request_id, r.dataset_id, r.resource_id, r.version_id, r.source_container, r.source_path
FROM app.jobs j
LEFT JOIN LATERAL (
    SELECT * FROM app.api_requests r WHERE r.job_id = j.job_id ORDER BY r.created_at DESC LIMIT 1
) r ON true
WHERE j.status = 'failed' AND j.archived_at IS NULL AND j.finished_at >= clock_timestamp() - make_interval(hours => %(hours)s)
    AND (%(submitted_by)s::text IS NULL OR j.submitted_by = %(submitted_by)s)
ORDER BY j.finished_at DESC, j.job_key DESC LIMIT %(limit)s

-- name: throughput
-- How busy the machine is: open jobs, and how those of the last day ended.
SELECT (SELECT count(*) FROM app.jobs WHERE status = 'queued') AS queue_backlog,
    (SELECT count(*) FROM app.jobs WHERE status = 'processing') AS processing,
    count(*) FILTER (WHERE j.status = 'failed') AS failed_last_24h,
    count(*) FILTER (WHERE j.status IN ('completed', 'completed_with_errors')) AS completed_last_24h,
    round((extract(epoch FROM avg(j.finished_at - j.created_at) FILTER (WHERE j.status = 'completed')) / 60)::numeric, 2)::double precision
        AS avg_completion_minutes
FROM app.jobs j WHERE j.archived_at IS NULL AND j.finished_at >= clock_timestamp() - interval '24 hours'
