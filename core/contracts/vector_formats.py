"""Which vector files can be read, and by which extensions are they known?"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class VectorFormat(StrEnum):
    """The file formats that can be read, by the extension partners use."""

    GEOJSON = "geojson"  #: RFC 7946, also .json and TopoJSON
    GEOJSONSEQ = "geojsonl"  #: one feature a line, also .geojsons and .ndjson
    GPKG = "gpkg"  #: GeoPackage
    SHAPEFILE = "shp"  #: with its siblings in the container
    FLATGEOBUF = "fgb"  #: FlatGeobuf
    KML = "kml"  #: Keyhole Markup Language
    KMZ = "kmz"  #: zipped KML
    GML = "gml"  #: Geography Markup Language
    GPX = "gpx"  #: GPS exchange
    FILEGDB = "gdb"  #: Esri file geodatabase, in a zip
    PARQUET = "parquet"  #: GeoParquet, or Parquet with coordinate columns
    CSV = "csv"  #: with latitude and longitude, or WKT or WKB, columns; also .tsv and .txt
    XLSX = "xlsx"  #: a workbook whose sheets are layers, with columns as in CSV
    MAPINFO = "tab"  #: MapInfo, also .mif, with its siblings in the container
    DXF = "dxf"  #: AutoCAD drawing exchange
    ZIP = "zip"  #: an archive of one of the others


#: Extensions that mean one of the formats above.
EXTENSIONS: Mapping[str, VectorFormat] = {
    **{f.value: f for f in VectorFormat},
    "json": VectorFormat.GEOJSON,
    "topojson": VectorFormat.GEOJSON,
    "geojsonseq": VectorFormat.GEOJSONSEQ,
    "geojsons": VectorFormat.GEOJSONSEQ,
    "ndjson": VectorFormat.GEOJSONSEQ,
    "jsonl": VectorFormat.GEOJSONSEQ,
    "geoparquet": VectorFormat.PARQUET,
    "tsv": VectorFormat.CSV,
    "mif": VectorFormat.MAPINFO,
    "txt": VectorFormat.CSV,
}
