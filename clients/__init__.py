"""Clients of the HTTP API in other languages and programs."""
