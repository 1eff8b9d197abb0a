"""A private PostgreSQL with PostGIS that comes up with no manual step and stays inside the folders it is given."""
