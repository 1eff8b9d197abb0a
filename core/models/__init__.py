"""The rows of the database: each model is the one place that says what its table looks like."""
