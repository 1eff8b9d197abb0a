-- name: of_dataset
-- Who sees the restricted data of a dataset.
SELECT * FROM app.dataset_readers WHERE dataset_id = %(dataset_id)s ORDER BY client_id

-- name: lock
-- One change of a dataset's list at a time.
SELECT pg_advisory_xact_lock(7075, hashtext(%(dataset_id)s))

-- name: remove
-- Who is not on the new list any more.
DELETE FROM app.dataset_readers WHERE dataset_id = %(dataset_id)s AND client_id <> ALL (%(clients)s)

-- name: add
-- Who is new on it.
INSERT INTO app.dataset_readers (dataset_id, client_id, added_by)
SELECT %(dataset_id)s, c, %(by)s FROM unnest(%(clients)s::text[]) AS c ON CONFLICT DO NOTHING
