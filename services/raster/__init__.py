"""Rasters: inspect, convert to COG, describe."""
