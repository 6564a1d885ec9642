"""Class names and colours beside a map, for GIS programs: GDAL's ``.aux.xml`` and the style file of QGIS.

A TIFF keeps neither names nor the length of its colour table (it always has 256 colours), so they lie beside it.
Source: GDAL's ``gdal_pam.xsd`` and QGIS's style files, as both programs write them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rsseg.metainfo import ClassTable

__all__ = ["add_palette", "attribute_table", "qgis_style", "xml_bytes"]

_NAME, _COUNT, _VALUE = 2, 1, 5  # GDALRATFieldUsage
_INTEGER, _TEXT = 0, 2  # GDALRATFieldType
_FIELDS = {"Value": (_INTEGER, _VALUE), "Class_Name": (_TEXT, _NAME), "Count": (_INTEGER, _COUNT),
           "Red": (_INTEGER, 6), "Green": (_INTEGER, 7), "Blue": (_INTEGER, 8), "Alpha": (_INTEGER, 9)}  # fmt: skip
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_POLYGON = "2"  # QgsWkbTypes::PolygonGeometry
_OUTLINE = {"outline_color": "35,35,35,160", "outline_style": "solid", "outline_width": "0.1",
            "outline_width_unit": "MM", "style": "solid", "joinstyle": "miter"}  # fmt: skip


def attribute_table(table: ClassTable, pixels: Sequence[int], values: Sequence[int] | None = None) -> bytes:
    """Colours, category names and a raster attribute table, as GDAL reads them from ``<map>.tif.aux.xml``.

    GDAL prefers this colour table, which ends with the last class, to that of the TIFF.

    Args:
        table: Names and colours.
        pixels: Of each class, their number in the map.
        values: Of each class, its value in the map, where that is not its id; there is no colour table then, which
            would need a colour for every value.
    """
    root = Element("PAMDataset")
    band = SubElement(root, "PAMRasterBand", band="1")
    if values is None:
        add_palette(band, table)
    rows = SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, (kind, usage)) in enumerate(_FIELDS.items()):
        field = SubElement(rows, "FieldDefn", index=str(index))
        for key, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            SubElement(field, key).text = str(value)
    for i, (name, count, colour) in enumerate(zip(table.classes, pixels, table.palette, strict=True)):
        row = SubElement(rows, "Row", index=str(i))
        for cell in (i if values is None else values[i], _plain(name), count, *colour, 255):
            SubElement(row, "F").text = str(cell)
    return xml_bytes(root)


def add_palette(band: Element, table: ClassTable) -> None:
    """Add colours and category names to the element of a band, in ``.aux.xml``, VRT and GTI alike."""
    SubElement(band, "ColorInterp").text = "Palette"
    colours = SubElement(band, "ColorTable")
    for colour in table.palette:
        SubElement(colours, "Entry", {f"c{i}": str(value) for i, value in enumerate((*colour, 255), start=1)})
    names = SubElement(band, "CategoryNames")
    for name in table.classes:
        SubElement(names, "Category").text = _plain(name)


def qgis_style(table: ClassTable, values: Sequence[int] | None = None) -> bytes:
    """Names and colours as QGIS reads them from ``<map>.qml``, for the map as well as for its polygons.

    QGIS looks for a style by the name of a file without its suffix, so ``map.tif`` and ``map.geojson`` share one: it
    takes the palette for a raster, and the categories for polygons with a field ``class``.

    Args:
        table: Names and colours.
        values: Of each class, its value in the map, where that is not its id.
    """
    root = Element("qgis", version="3.22.0", styleCategories="Symbology")
    pipe = SubElement(root, "pipe")
    renderer = SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1")
    SubElement(renderer, "rasterTransparency")
    palette = SubElement(renderer, "colorPalette")
    symbols = Element("symbols")
    polygons = SubElement(root, "renderer-v2", type="categorizedSymbol", attr="class", forceraster="0")
    categories = SubElement(polygons, "categories")
    polygons.append(symbols)
    for i, (name, colour) in enumerate(zip(map(_plain, table.classes), table.palette, strict=True)):
        code = "#{:02x}{:02x}{:02x}".format(*colour)
        value = i if values is None else values[i]
        SubElement(palette, "paletteEntry", value=str(value), color=code, alpha="255", label=name)
        SubElement(categories, "category", value=name, symbol=str(i), label=name, render="true", type="string")
        symbol = SubElement(symbols, "symbol", type="fill", name=str(i), alpha="1", clip_to_extent="1", force_rhr="0")
        layer = SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
        for key, text in {"color": "{},{},{},255".format(*colour), **_OUTLINE}.items():
            SubElement(layer, "prop", k=key, v=text)
    SubElement(root, "layerGeometryType").text = _POLYGON
    return _DOCTYPE.encode() + xml_bytes(root)


def _plain(text: str) -> str:
    """A name without characters that XML does not allow."""
    return _NOT_XML.sub("\ufffd", text)


def xml_bytes(root: Element) -> bytes:
    """A document with indents, in UTF-8."""
    indent(root)
    return tostring(root, encoding="utf-8", xml_declaration=False) + b"\n"
