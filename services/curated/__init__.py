"""Reference datasets that the system keeps up to date itself."""
