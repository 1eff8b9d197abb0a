"""Which raster formats are read: by the first bytes, by the extension, and those that GDAL may recognise by itself.

Drivers that read other files named in what they open (WMS, GTI, ERS, DIMAP, PCIDSK and the like) are not among them;
VRT is, but is checked before GDAL sees it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MAGIC: Sequence[tuple[bytes, str]] = (
    (b"II*\x00", "GTiff"),
    (b"MM\x00*", "GTiff"),
    (b"II+\x00", "GTiff"),
    (b"MM\x00+", "GTiff"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x00\x00\x00\x0cjP  ", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),
    (b"EHFA_HEADER_TAG", "HFA"),
    (b"GRIB", "GRIB"),
    (b"CDF\x01", "netCDF"),
    (b"CDF\x02", "netCDF"),
    (b"CDF\x05", "netCDF"),
    (b"NITF", "NITF"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"DSBB", "GSBG"),
    (b"DSRB", "GS7BG"),
    (b"DSAA", "GSAG"),
    (b"CSF\x00", "PCRaster"),
    (b"RUU CROSS SYSTEM MAP FORMAT", "PCRaster"),
    (b"RSWT", "RMF"),
    (b"MTW0", "RMF"),
    (b"TERRAGENTERRAIN", "Terragen"),
    (b"binterr1", "BT"),
)
HDF5 = b"\x89HDF\r\n\x1a\n"
HDF4 = b"\x0e\x03\x13\x01"
ZIP = b"PK\x03\x04"
SQLITE = b"SQLite format 3\x00"

#: Extension to driver, for files whose first bytes say nothing.
SUFFIXES: Mapping[str, str] = {
    ".tif": "GTiff",
    ".tiff": "GTiff",
    ".jp2": "JP2OpenJPEG",
    ".j2k": "JP2OpenJPEG",
    ".img": "HFA",
    ".hgt": "SRTMHGT",
    ".asc": "AAIGrid",
    ".dem": "USGSDEM",
    ".dt0": "DTED",
    ".dt1": "DTED",
    ".dt2": "DTED",
    ".grib": "GRIB",
    ".grb": "GRIB",
    ".grib2": "GRIB",
    ".grb2": "GRIB",
    ".nc": "netCDF",
    ".nc4": "netCDF",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".hdf": "HDF5",
    ".he5": "HDF5",
    ".bag": "BAG",
    ".ntf": "NITF",
    ".nitf": "NITF",
    ".bt": "BT",
    ".ter": "Terragen",
    ".map": "PCRaster",
    ".rsw": "RMF",
    ".mtw": "RMF",
    ".gtx": "GTX",
    ".gsb": "NTv2",
    ".xyz": "XYZ",
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".kro": "KRO",
    ".sigdem": "SIGDEM",
    ".byn": "BYN",
    ".lcp": "LCP",
    ".rik": "RIK",
}
#: Drivers over the HDF5 library, for which a file is checked first.
HDF5_DRIVERS = frozenset({"HDF5", "netCDF", "BAG"})
#: Folders of many objects, and descriptions that name other files.
ZARR, VRT = ".zarr", ".vrt"

#: What GDAL may recognise a file of an unknown kind as. HDF5 and its kin are not: they are known by their first bytes.
RECOGNISED: Sequence[str] = (
    "AAIGrid", "ACE2", "AirSAR", "BIGGIF", "BMP", "BSB", "BT", "BYN", "CALS", "COSAR", "CTG", "DOQ1",
    "DOQ2", "DTED", "ESAT", "GFF", "GIF", "GRASSASCIIGrid", "GRIB", "GS7BG", "GSAG", "GSBG", "GSC", "GTX",
    "GTiff", "GXF", "HF2", "HFA", "IRIS", "ISG", "JDEM", "JP2OpenJPEG", "JPEG", "KRO", "L1B", "LAN",
    "LCP", "LOSLAS", "Leveller", "MBTiles", "MSGN", "NDF", "NGSGEOID", "NITF", "NOAA_B", "NSIDCbin", "NTv2",
    "NWT_GRC", "NWT_GRD", "PCRaster", "PNG", "PNM", "RIK", "RMF", "SIGDEM", "SNODAS",
    "SRTMHGT", "TGA", "Terragen", "USGSDEM", "WEBP", "XYZ", "ZMap",
)  # fmt: skip
#: Formats of several files that find each other by name: read from an archive that holds them all.
IN_ARCHIVE: Mapping[str, str] = {
    ".bil": "EHdr",
    ".flt": "EHdr",
    ".bip": "ENVI",
    ".bsq": "ENVI",
    ".dat": "ENVI",
    ".rst": "RST",
    ".sdat": "SAGA",
    ".grd": "RRASTER",
}

EXTENSIONS = frozenset(suffix.lstrip(".") for suffix in (*SUFFIXES, ZARR, VRT))
