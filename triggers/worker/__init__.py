"""The worker: a parent that keeps one runner per core alive and says in the database what a dead one was doing."""
