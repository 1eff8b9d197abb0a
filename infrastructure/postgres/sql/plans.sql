-- name: drop_expired
-- Forget plans that nobody can submit any more.
DELETE FROM app.submit_plans WHERE expires_at < clock_timestamp()

-- name: save_plan
-- Keep a plan.
INSERT INTO app.submit_plans (plan_id, request, job_id, sources, submitted_by, expires_at)
VALUES (%(plan_id)s, %(request)s::jsonb, %(job_id)s, %(sources)s::jsonb, %(submitted_by)s, clock_timestamp() + %(keep)s)
RETURNING plan_id, request, job_id, sources, submitted_by, expires_at

-- name: plan
-- A plan that can still be submitted.
SELECT plan_id, request, job_id, sources, submitted_by, expires_at
FROM app.submit_plans WHERE plan_id = %(plan_id)s AND expires_at >= clock_timestamp()

-- name: timing
-- The line through seconds over MiB of the last jobs of a type that a partner asked for.
SELECT count(*) AS runs, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
    regr_intercept(seconds, mib) AS base, regr_slope(seconds, mib) AS per_mib
FROM (
    SELECT extract(epoch FROM j.finished_at - coalesce(j.started_at, j.created_at))::double precision AS seconds,
        r.source_size / 1048576.0::double precision AS mib
    FROM app.jobs j JOIN app.api_requests r ON r.job_id = j.job_id
    WHERE j.job_type = %(job_type)s AND j.status IN ('completed', 'completed_with_errors') AND r.source_size IS NOT NULL
    ORDER BY j.created_at DESC LIMIT 100
) AS ran
