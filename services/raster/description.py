"""A dataset described as a VRT: without its pixels, a window of it, with statistics or a mask of our own."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import rasterio.shutil
from affine import Affine
from rasterio.io import DatasetReader

from core.contracts.raster import BandStatistics, PixelWindow
from services.raster.pixels import has_internal_mask

_SOURCES = (
    "SimpleSource", "ComplexSource", "MaskBand", "Overview", "OverviewList",
    "GDALWarpOptions", "BlockXSize", "BlockYSize",
)  # fmt: skip
_STATISTICS = "STATISTICS_"


class Description:
    """The VRT document of an open dataset. Nothing is written before `save`."""

    def __init__(self, dataset: DatasetReader, scratch: Path) -> None:
        rasterio.shutil.copy(dataset, scratch, driver="VRT")
        self._document = ElementTree.parse(scratch)  # noqa: S314  GDAL wrote it a moment ago
        self._root = self._document.getroot()
        scratch.unlink()

    def drop_pixels(self) -> None:
        """Keep everything else; a warp is no longer one."""
        for node in (self._root, *self._root.findall("VRTRasterBand")):
            node.attrib.pop("subClass", None)
        for band in (self._root, *self._root.iter("VRTRasterBand")):
            for kind in _SOURCES:
                for source in band.findall(kind):
                    band.remove(source)

    def as_one_source(self, dataset: DatasetReader) -> None:
        """Of a description take the file as the single source: GDAL copies a VRT with each of its own sources."""
        if dataset.driver != "VRT":
            return
        self.drop_pixels()
        for number, band in enumerate(self._root.findall("VRTRasterBand"), start=1):
            band.append(_whole(dataset, str(number)))
        if has_internal_mask(dataset):
            mask = ElementTree.SubElement(ElementTree.SubElement(self._root, "MaskBand"), "VRTRasterBand")
            mask.set("dataType", "Byte")
            mask.append(_whole(dataset, "mask,1"))

    def mask_nodata(self, dataset: DatasetReader) -> None:
        """Have a mask in the place of nodata: pixels that have a value in any band."""
        bands = self._root.findall("VRTRasterBand")
        for band in bands:
            for stated in band.findall("NoDataValue"):
                band.remove(stated)
        if has_internal_mask(dataset):
            return
        mask = ElementTree.SubElement(ElementTree.SubElement(self._root, "MaskBand"), "VRTRasterBand")
        mask.set("dataType", "Byte")
        for number in dataset.indexes:
            mask.append(_whole(dataset, f"mask,{number}", passing=0))

    def cut(self, window: PixelWindow, transform: Affine) -> None:
        """Only this rectangle, whose transform is given."""
        for node in (self._root, *self._root.iter("VRTDataset")):
            node.set("rasterXSize", str(window.width))
            node.set("rasterYSize", str(window.height))
        for rectangle in self._root.iter("SrcRect"):
            _place(rectangle, window.column, window.row, window)
        for rectangle in self._root.iter("DstRect"):
            _place(rectangle, 0, 0, window)
        for node in self._root.findall("GeoTransform"):
            node.text = ", ".join(repr(value) for value in transform.to_gdal())

    def state_statistics(self, statistics: Sequence[BandStatistics | None]) -> None:
        """Replace what is said of the values, in the items that GDAL and its users read; None removes them."""
        bands = self._root.findall("VRTRasterBand")
        for band, found in zip(bands, statistics, strict=True):
            for metadata in band.findall("Metadata"):
                for item in metadata.findall("MDI"):
                    if item.get("key", "").startswith(_STATISTICS):
                        metadata.remove(item)
            if found is not None:
                _state(band, found)

    def save(self, path: Path) -> Path:
        """Write it; GDAL opens the file."""
        self._document.write(path, encoding="utf-8")
        return path


def _whole(dataset: DatasetReader, band: str, passing: int | None = None) -> ElementTree.Element:
    """All of a band as a source; where it has the value `passing`, what the sources before it gave stays."""
    source = ElementTree.Element("SimpleSource" if passing is None else "ComplexSource")
    ElementTree.SubElement(source, "SourceFilename", relativeToVRT="0").text = dataset.name
    ElementTree.SubElement(source, "SourceBand").text = band
    for rectangle in ("SrcRect", "DstRect"):
        place = {"xOff": 0, "yOff": 0, "xSize": dataset.width, "ySize": dataset.height}
        ElementTree.SubElement(source, rectangle, {key: str(value) for key, value in place.items()})
    if passing is not None:
        ElementTree.SubElement(source, "NODATA").text = str(passing)
    return source


def _place(rectangle: ElementTree.Element, column: int, row: int, window: PixelWindow) -> None:
    for key, value in (("xOff", column), ("yOff", row), ("xSize", window.width), ("ySize", window.height)):
        rectangle.set(key, str(value))


def _state(band: ElementTree.Element, found: BandStatistics) -> None:
    metadata = next((m for m in band.findall("Metadata") if m.get("domain") is None), None)
    if metadata is None:
        metadata = ElementTree.Element("Metadata")
        band.insert(0, metadata)
    values = {
        "MINIMUM": found.minimum,
        "MAXIMUM": found.maximum,
        "MEAN": found.mean,
        "STDDEV": found.stddev,
        "VALID_PERCENT": found.valid_percent,
    }
    for key, value in values.items():
        item = ElementTree.SubElement(metadata, "MDI", key=f"{_STATISTICS}{key}")
        item.text = f"{value:.17g}"
