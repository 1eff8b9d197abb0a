"""Vector files into PostGIS tables: open, plan, clean, load, describe."""
