"""The Python client, a package of its own that needs nothing else of this repository."""
