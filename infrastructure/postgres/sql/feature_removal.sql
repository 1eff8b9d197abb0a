-- name: delete_item
-- Remove an item from the catalogue, whichever partition it is in.
delete from pgstac.items where id = %(item_id)s and collection = %(collection_id)s;

-- name: withdraw_item
-- No review speaks of an item that is removed.
select app.withdraw_item(%(collection_id)s, %(item_id)s, %(by)s, %(reason)s);

-- name: delete_catalog
-- Forget a feature table; tracking, styles and references go with it.
delete from geo.table_catalog where table_name = %(table_name)s;
