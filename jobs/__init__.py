"""WHAT the system can do: one declaration per job type."""
