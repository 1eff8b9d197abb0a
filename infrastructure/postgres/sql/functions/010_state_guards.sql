-- Called by the `state_guard` triggers, whose WHEN lets only forbidden moves through. `ensure` makes those triggers
-- from core/states.py, so an allowed move costs a comparison and no function call.
CREATE OR REPLACE FUNCTION app.refuse_transition() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.%: status cannot change from % to %', TG_TABLE_SCHEMA, TG_TABLE_NAME, OLD.status, NEW.status
        USING ERRCODE = 'check_violation',
              SCHEMA = TG_TABLE_SCHEMA,
              TABLE = TG_TABLE_NAME,
              COLUMN = 'status',
              CONSTRAINT = TG_NAME,
              HINT = 'core/states.py lists the moves that are allowed.';
END
$$;
