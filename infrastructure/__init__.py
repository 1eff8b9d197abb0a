"""Adapters: one folder per outside thing, each translating its own errors."""
