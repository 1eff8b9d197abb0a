"""A COG from one reading of the source, where the result provably equals that of GDAL's COG driver."""
