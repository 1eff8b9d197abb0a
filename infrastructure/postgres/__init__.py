"""PostgreSQL: the pool, the named queries and the repositories."""
