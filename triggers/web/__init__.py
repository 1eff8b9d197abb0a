"""What people and GIS programs open: STAC API, features, tiles, assets and the API's own documentation."""
