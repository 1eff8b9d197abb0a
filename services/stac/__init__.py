"""STAC documents: the properties, items and collections that rasters and vectors share."""
