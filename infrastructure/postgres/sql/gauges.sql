-- name: gauges
-- How the whole system stands, one figure a row: its name, what it is of, and how much. Every part reads an index or a short table.
SELECT 'queue.items' AS name, q.queue AS part, CASE WHEN q.worker IS NOT NULL THEN 'leased' WHEN q.visible_at > clock_timestamp()
        THEN 'delayed' ELSE 'due' END AS state, count(*)::double precision AS value
FROM app.queue q GROUP BY 2, 3
UNION ALL
SELECT 'queue.oldest.age', q.queue, NULL, extract(epoch FROM clock_timestamp() - min(q.visible_at))::double precision
FROM app.queue q WHERE q.worker IS NULL AND q.visible_at <= clock_timestamp() GROUP BY 2
UNION ALL
SELECT 'jobs.open', NULL, j.status::text, count(*) FROM app.jobs j WHERE j.status IN ('queued', 'processing') GROUP BY 3
UNION ALL
SELECT 'jobs.stranded', NULL, NULL, count(*) FROM app.stranded_jobs
UNION ALL
SELECT 'dead_letters.open', NULL, d.kind::text, count(*) FROM app.dead_letters d WHERE d.state = 'open' GROUP BY 3
UNION ALL
SELECT 'outbox.items', o.topic, CASE WHEN o.dead_at IS NULL THEN 'waiting' ELSE 'dead' END, count(*)
FROM app.outbox o WHERE o.delivered_at IS NULL GROUP BY 2, 3
UNION ALL
SELECT 'outbox.oldest.age', NULL, NULL, coalesce(extract(epoch FROM clock_timestamp() - min(o.created_at)), 0)::double precision
FROM app.outbox o WHERE o.delivered_at IS NULL AND o.dead_at IS NULL
UNION ALL
SELECT 'approvals.waiting', NULL, NULL, count(*) FROM app.dataset_approvals a WHERE a.status = 'pending'
