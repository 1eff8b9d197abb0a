"""Telling partners what became of their requests."""
