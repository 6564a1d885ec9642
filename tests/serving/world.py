"""Maps and images small enough to check by hand, as rsseg writes them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio import Affine
from rasterio.shutil import copy

from rsseg.serving.places import EDGE

CLASSES = ("water", "forest", "road")
COLOURS = ((0, 0, 255), (0, 128, 0), (200, 200, 200))
UTM = Affine(0.5, 0, 500000, 0, -0.5, 4000000)
ZOOM = 12
"""A map of 512 x 512 pixels of Web Mercator that is tile (2200, 1400) of this zoom."""
TILE = (2200, 1400)


def tile_transform(x: int, y: int, zoom: int, side: int = 512) -> Affine:
    """Transform of a raster in Web Mercator that fills a tile with ``side`` x ``side`` pixels."""
    width = 2 * EDGE / 2**zoom
    return Affine(width / side, 0, x * width - EDGE, 0, -width / side, EDGE - y * width)


def write_image(path: Path, pixels: NDArray[Any], **profile: Any) -> Path:
    """Bands (C, H, W) as a GeoTIFF in UTM 33N with 0.5 m by default."""
    count, height, width = pixels.shape
    settings = {"driver": "GTiff", "crs": "EPSG:32633", "transform": UTM, **profile}
    if count == 3 and pixels.dtype == np.uint8 and settings["driver"] == "GTiff":
        settings.setdefault("photometric", "RGB")
    scales = settings.pop("scales", None)
    with rasterio.open(path, "w", count=count, height=height, width=width, dtype=pixels.dtype, **settings) as file:
        file.write(pixels)
        if scales is not None:
            file.scales = scales
    return path


def write_map(path: Path, labels: NDArray[Any], source: Path | None = None, cog: bool = False, **profile: Any) -> Path:
    """Class ids (H, W), 255 where there is no data, with names, colours and source as rsseg writes them."""
    height, width = labels.shape
    settings = {"driver": "GTiff", "crs": "EPSG:32633", "transform": UTM, "nodata": 255, **profile}
    flat = path.with_name(f".{path.name}") if cog else path
    with rasterio.open(flat, "w", count=1, height=height, width=width, dtype="uint8", **settings) as file:
        file.write(labels.astype(np.uint8), 1)
        file.write_colormap(1, {i: (*colour, 255) for i, colour in enumerate(COLOURS)})
        file.update_tags(1, **{f"class_{i}": name for i, name in enumerate(CLASSES)})
        if source is not None:
            state = source.stat()
            file.update_tags(
                RSSEG_SOURCE=source.name, RSSEG_SOURCE_STATE=json.dumps([state.st_size, state.st_mtime_ns])
            )
    if cog:
        copy(str(flat), str(path), driver="COG", compress="DEFLATE", blocksize=512, overview_resampling="MODE")
        flat.unlink()
    return path


def write_vrt(path: Path, *sources: str, relative: int = 1, side: int = 8) -> Path:
    """A mosaic of rasters of ``side`` x ``side`` pixels, side by side, with a metre for a pixel."""
    parts = [
        f'<SimpleSource><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{side}" ySize="{side}"/>'
        f'<DstRect xOff="{number * side}" yOff="0" xSize="{side}" ySize="{side}"/></SimpleSource>'
        for number, source in enumerate(sources)
    ]
    path.write_text(
        f'<VRTDataset rasterXSize="{side * len(sources)}" rasterYSize="{side}"><SRS>EPSG:32633</SRS>'
        f"<GeoTransform>500000,1,0,4000000,0,-1</GeoTransform>"
        f'<VRTRasterBand dataType="Byte" band="1">{"".join(parts)}</VRTRasterBand></VRTDataset>'
    )
    return path


def write_table(path: Path) -> Path:
    """The class table of the maps."""
    rows = [dict(id=i, name=name, color="#{:02X}{:02X}{:02X}".format(*colour))
            for i, (name, colour) in enumerate(zip(CLASSES, COLOURS, strict=True))]  # fmt: skip
    path.write_text(json.dumps(dict(name="three", source="test", categories=rows)))
    return path


def client_of(out: Path, *paths: Path) -> Any:
    """A client of an application that serves some paths."""
    from fastapi.testclient import TestClient

    from rsseg.serving.app import create_app
    from rsseg.serving.settings import ServeSettings

    return TestClient(create_app(ServeSettings(paths, out / "served")), base_url="http://127.0.0.1")


def tile_pixels(client: Any, path: str) -> NDArray[np.uint8]:
    """RGBA (H, W, 4) of a tile."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return np.array(Image.open(io.BytesIO(answer.content)).convert("RGBA"))
