-- name: take_letters
-- Hold a batch of rows that a broker has to hear of; concurrent dispatchers share them out.
SELECT * FROM app.take_letters(%(limit)s, %(resend)s, %(except_queues)s::text[], %(after)s)

-- name: letters_sent
-- Mark rows of the open transaction as handed to the broker.
SELECT app.letters_sent(%(queue_ids)s::bigint[])

-- name: claim_letters
-- Lease the items that messages name, in the order of the messages; each line says what became of one.
SELECT * FROM app.claim_letters(
    %(worker)s, %(queues)s::text[], %(job_ids)s::text[], %(stages)s::int[], %(indexes)s::int[], %(lease)s
)

-- name: undeliverable
-- Keep a message that the broker gave up on, and send its item again when it is still open.
SELECT app.undeliverable(%(queue)s, %(job_id)s, %(stage)s, %(task_index)s, %(reason)s, %(detail)s, %(payload)s::jsonb)
