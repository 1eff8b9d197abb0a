"""Edges: HTTP, queues, timers, the command line."""
