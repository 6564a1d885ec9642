"""Reference labels on every other grid than the image: extent, pixel size, direction of rows, rotation, CRS, --gsd."""

from __future__ import annotations

import csv
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from rsseg.errors import DataError
from rsseg.mapping import MapOptions, Products, Reference, map_raster

EAST, NORTH = 499996, 4000000  # four metres west of 15 degrees east
MERIDIAN = 1669792.3618  # 15 degrees east in Web Mercator
HERE = Affine(1, 0, EAST, 0, -1, NORTH)
SOUTH_UP = Affine(1, 0, EAST, 0, 1, NORTH - 8)
TURNED = Affine(0, 1, EAST, -1, 0, NORTH)  # columns run south, rows run east
FINE = Affine(0.25, 0, EAST, 0, -0.25, NORTH)
COARSE = Affine(2, 0, EAST, 0, -2, NORTH)

# 8 x 10 pixels of a metre: four columns of 0, six of 1; the map takes the first row for 2
TRUTH = np.repeat([[0] * 4 + [1] * 6], 8, axis=0).astype(np.uint8)
SEEN = TRUTH.copy()
SEEN[0] = 2
ALL = [[28, 0, 4], [0, 42, 6], [0, 0, 0]]


def image(labels):
    return np.stack([np.where(labels == i, 200, 10) for i in range(3)]).astype(np.uint8)


@pytest.fixture
def confusion(stub, table, write_raster, tmp_path):
    """Confusion of a map of an image with labels, counted by ``map_raster``; rows are true."""

    def run(seen, labels, image_profile, label_profile, **options):
        source = write_raster(image(seen), "scene.tif", **image_profile)
        settings = {"crs": "EPSG:32633", "transform": HERE, **label_profile}
        labels_at = write_raster(labels[None], "labels.tif", **settings)
        found = {}

        def count(path, reference, class_table, source):
            found["all"] = measure(path, reference, class_table, source)
            return found["all"]

        from rsseg.mapping import products

        measure = products.measure_accuracy
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(products, "measure_accuracy", count)
            wanted = Products(reference=Reference(str(labels_at)))
            settings = MapOptions(window=(16, 16), overlap=0, overwrite=True, **options)
            map_raster(str(source), tmp_path / "map.tif", stub, table, settings, {}, products=wanted)
        with (tmp_path / "map_accuracy.csv").open() as file:
            assert int(list(csv.reader(file))[-1][-1]) == found["all"].confusion.sum()
        return found["all"].confusion.tolist()

    return run


@pytest.mark.parametrize(
    "labels, where, expected",
    [
        (TRUTH, {}, ALL),
        (TRUTH[:5], {}, [[16, 0, 4], [0, 24, 6], [0, 0, 0]]),  # the upper five rows
        # two columns further east and two rows further north: rows 0..2 and columns 2..9 have labels
        (np.repeat([[0] * 2 + [1] * 10], 5, 0).astype(np.uint8),
         {"transform": Affine(1, 0, EAST + 2, 0, -1, NORTH + 2)},
         [[4, 0, 2], [0, 12, 6], [0, 0, 0]]),
        (TRUTH.repeat(4, 0).repeat(4, 1), {"transform": FINE}, ALL),
        (np.pad(TRUTH, 3, constant_values=9), {"transform": Affine(1, 0, EAST - 3, 0, -1, NORTH + 3)},
         ALL),
        (TRUTH[::2, ::2], {"transform": COARSE}, ALL),
        (TRUTH[::-1], {"transform": SOUTH_UP}, ALL),
        (TRUTH[:5][::-1], {"transform": Affine(1, 0, EAST, 0, 1, NORTH - 5)}, [[16, 0, 4], [0, 24, 6], [0, 0, 0]]),
        (TRUTH.T, {"transform": TURNED}, ALL),
        # two pixels of a degree and of 1000 km that meet at 15 degrees east
        (np.array([[0, 1]], np.uint8), {"crs": "EPSG:4326", "transform": Affine(1, 0, 14, 0, -10, 40)}, ALL),
        (np.array([[0, 1]], np.uint8), {"crs": "EPSG:3857", "transform": Affine(1e6, 0, MERIDIAN - 1e6, 0, -1e6, 5e6)},
         ALL),
        (np.array([[0, 9]], np.uint8), {"crs": "EPSG:4326", "transform": Affine(1, 0, 14, 0, -10, 40), "nodata": 9},
         [[28, 0, 4], [0, 0, 0], [0, 0, 0]]),
        (TRUTH, {"crs": None, "transform": None}, ALL),  # a plain picture with as many pixels
        (TRUTH, {"transform": None, "gcps": [GroundControlPoint(r, c, EAST + c, NORTH - r) for r, c in
                                             ((0, 0), (0, 10), (8, 0), (8, 10))]}, ALL),
        (TRUTH[:5, :8], {"transform": None, "gcps": [GroundControlPoint(r, c, EAST + c, NORTH - r) for r, c in
                                                     ((0, 0), (0, 8), (5, 0), (5, 8))]},
         [[16, 0, 4], [0, 16, 4], [0, 0, 0]]),
    ],
)  # fmt: skip
def test_labels_on_another_grid(labels, where, expected, confusion):
    assert confusion(SEEN, labels, {"transform": HERE}, where) == expected


@pytest.mark.parametrize(
    "seen, transform",
    [(SEEN[::-1], SOUTH_UP), (SEEN.T, TURNED), (SEEN[:, ::-1], Affine(-1, 0, EAST + 10, 0, -1, NORTH))],
)
@pytest.mark.parametrize(
    "labels, where",
    [
        (TRUTH, {}),
        (TRUTH.repeat(4, 0).repeat(4, 1), {"transform": FINE}),
        (np.array([[0, 1]], np.uint8), {"crs": "EPSG:4326", "transform": Affine(1, 0, 14, 0, -10, 40)}),
    ],
)
def test_images_that_run_another_way(seen, transform, labels, where, confusion):
    assert confusion(seen, labels, {"transform": transform}, where) == ALL


@pytest.mark.parametrize("transform", [HERE, SOUTH_UP])
@pytest.mark.parametrize(
    "labels, where",
    [
        (TRUTH, {}),
        (TRUTH.repeat(4, 0).repeat(4, 1), {"transform": FINE}),
        (TRUTH[::2, ::2], {"transform": COARSE}),
        (np.array([[0, 1]], np.uint8), {"crs": "EPSG:4326", "transform": Affine(1, 0, 14, 0, -10, 40)}),
    ],
)
def test_resampled_images(labels, where, transform, confusion):
    """4 x 2 pixels of 0 and 4 x 3 of 1 are left; the two wrong rows become one."""
    seen = TRUTH.copy()
    seen[:2] = 2
    seen = seen if transform == HERE else seen[::-1]
    assert confusion(seen, labels, {"transform": transform}, where, gsd=2.0) == [[6, 0, 2], [0, 9, 3], [0, 0, 0]]


@pytest.mark.parametrize("where", [{"crs": None, "transform": None}, {"crs": None}, {"transform": None}])
def test_labels_on_the_pixels_of_the_image_serve_a_resampled_map(where, confusion):
    """A plain picture, or one with a world file but no CRS, as most labels are: they lie where the image lies."""
    seen = TRUTH.copy()
    seen[:2] = 2
    assert confusion(seen, TRUTH, {"transform": HERE}, where, gsd=2.0) == [[6, 0, 2], [0, 9, 3], [0, 0, 0]]
    with pytest.raises(DataError, match=r"labels\.tif: has 5 x 10 pixels, .*no CRS relates them"):
        confusion(seen, TRUTH[:5], {"transform": HERE}, {**where, "crs": None}, gsd=2.0)


def test_other_units_and_gsd(confusion):
    """A Web Mercator image: a pixel of 2 m at 60 degrees north is about a metre, so --gsd 2 makes a quarter of them."""
    transform = Affine(2, 0, MERIDIAN - 8, 0, -2, 8399737.89)
    labels = np.array([[0, 1]], np.uint8)
    where = {"crs": "EPSG:4326", "transform": Affine(1, 0, 14, 0, -10, 65)}
    # ground pixels are 1.0025 m x 1.0008 m: 10 of them make 5.01 of 2 m, rounded up; column 2 begins at the meridian
    seen = TRUTH.copy()
    seen[:, 4:] = 1
    found = np.array(confusion(seen, labels, {"crs": "EPSG:3857", "transform": transform}, where, gsd=2.0))
    assert found.sum() == np.trace(found) and found[0, 0] == 2 * 5  # eight rows make 4.003


def test_a_mask_of_the_labels_counts(confusion, write_raster, tmp_path):
    mask = np.full((8, 10), 255, np.uint8)
    mask[:, 5:] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        assert confusion(SEEN, TRUTH, {"transform": HERE}, {"mask": mask}) == [[28, 0, 4], [0, 7, 1], [0, 0, 0]]
        fine = mask.repeat(4, 0).repeat(4, 1)
        labels = TRUTH.repeat(4, 0).repeat(4, 1)
        found = confusion(SEEN, labels, {"transform": HERE}, {"mask": fine, "transform": FINE})
    assert found == [[28, 0, 4], [0, 7, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    "labels, where, message",
    [
        (TRUTH[:5], {"crs": None}, r"labels\.tif: has 5 x 10 pixels, the map 8 x 10, and no CRS relates them"),
        (
            TRUTH,
            {"transform": Affine(1, 0, 0, 0, -1, 0)},
            "labels no pixel of the map; check that both cover the same ground",
        ),
        (TRUTH.astype(np.uint16), {}, "labels are uint16, not 8 bits"),
    ],
)
def test_labels_that_cannot_be_brought_onto_the_map(labels, where, message, confusion):
    with pytest.raises(DataError, match=message):
        confusion(SEEN, labels, {"transform": HERE}, where)


def test_colours_are_no_labels(table, stub, write_raster, tmp_path):
    source = write_raster(image(SEEN))
    colours = write_raster(
        image(TRUTH), "colours.tif", colorinterp=[ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    )
    with pytest.raises(DataError, match=r"colours\.tif: has 3 bands; expected one band of class ids"):
        map_raster(str(source), tmp_path / "map.tif", stub, table, MapOptions(), {},
                   products=Products(reference=Reference(str(colours))))  # fmt: skip
    assert not stub.batches


@pytest.mark.slow
def test_memory_does_not_grow_with_finer_labels(write_raster, tmp_path, repo):
    """Labels of 5 cm on a map of 5 m: a block of the map by GDAL's own size would need 300 MB of them."""
    code = (
        "import resource, sys; import numpy as np; from rasterio import Affine; from rasterio.crs import CRS\n"
        "from rsseg.io.georeference import GeoReference; from rsseg.mapping.reference import ReferenceLabels\n"
        "grid = GeoReference((160, 160), CRS.from_epsg(32633), Affine(5, 0, 500000, 0, -5, 4000000))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "with ReferenceLabels(sys.argv[1], grid) as labels:\n"
        "    found = sum(int(labels.read(w)[0].sum()) for w in labels.windows())\n"
        "print(found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    path, side = tmp_path / "fine.tif", 16000
    profile = dict(driver="GTiff", count=1, height=side, width=side, dtype="uint8", tiled=True, compress="deflate")
    with rasterio.open(
        path, "w", crs="EPSG:32633", transform=Affine(0.05, 0, 500000, 0, -0.05, 4000000), **profile
    ) as file:
        for row in range(0, side, 800):
            file.write(np.full((800, side), row // 800, np.uint8), 1, window=((row, row + 800), (0, side)))
    env = {"GDAL_CACHEMAX": "32", "PYTHONPATH": str(repo), "PATH": ""}
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, env=env)
    found, used = map(int, run.stdout.split())
    assert found == 160 * 8 * sum(range(20))  # eight rows of the map in each of twenty stripes
    assert used < 120 * 1024  # KiB
