"""A conversion to TIFF tiles: what training, reports and exports see is what they see of PNG tiles."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose

from rsseg.conversion import convert_labels
from rsseg.conversion.exports import export_labels
from rsseg.datasets import ConvertedDataset
from rsseg.datasets.labels import open_labels
from rsseg.datasets.sampling import seed_all
from rsseg.errors import ConfigError, JobError
from rsseg.io.rasters import read_image

pytestmark = pytest.mark.usefixtures("mmseg_scope")
Make = Callable[..., dict[str, Any]]
Digests = Callable[[Path], dict[str, str]]


@pytest.fixture
def both(make_config: Make, tmp_path: Path) -> tuple[Path, Path]:
    """The world converted to PNG tiles and to TIFF tiles."""
    for name in ("png", "tif"):
        convert_labels(make_config(name, tile_format=name))
    return tmp_path / "png", tmp_path / "tif"


def _renamed(folder: Path, name: str) -> str:
    return (folder / name).read_text().replace(".tif", ".png")


def test_only_the_files_of_tiles_differ(both: tuple[Path, Path]) -> None:
    png, tif = both
    for name in ("instances.json", "tiles.csv", "train.txt", "val.txt"):
        assert _renamed(png, name) == _renamed(tif, name)
    assert '"file_name":"P0001__0_0.tif"' in (tif / "instances.json").read_text()
    for folder in ("images", "gray"):
        assert {path.stem for path in (png / folder).iterdir()} == {path.stem for path in (tif / folder).iterdir()}
        assert {path.suffix for path in (tif / folder).iterdir()} == {".tif"}
    configs = [json.loads((root / "manifest.json").read_text())["config"] for root in both]
    assert "tile_format" not in configs[0] and configs[1] == {**configs[0], "tile_format": "tif"}
    for one, same in zip(open_labels(png), open_labels(tif), strict=True):
        assert one.instances == same.instances and one.image is not None and same.image is not None
        np.testing.assert_array_equal(read_image(one.image)[0], read_image(same.image)[0])


def test_training_sees_the_same_bits(make_config: Make, tmp_path: Path, repo: Path, world: Path) -> None:
    from PIL import Image

    large = np.random.default_rng(1).integers(0, 256, (700, 600, 3), dtype=np.uint8)  # in blocks: crops are windows
    Image.fromarray(large).save(world / "images" / "P0001.png")
    pipelines = Config.fromfile(repo / "configs/_base_/datasets/_segmentation.py")
    found = []
    for name in ("png", "tif"):
        tiling = {"size": 640, "overlap": 64, "iof_thr": 0.6}
        convert_labels(make_config(name, tile_format=name, tiling=tiling))
        data = ConvertedDataset("sota", str(tmp_path / name), split=None, pipeline=[], lazy_init=True)
        rows = [{**data.tag(row), "reduce_zero_label": False} for row in data.list_files()]
        steps = [Compose(pipelines[key]) for key in ("sep_pipeline_224", "train_pipeline_512", "sep_test_pipeline")]
        samples = []
        for number, row in enumerate(rows):
            for pipeline in steps:
                seed_all(number)
                sample = pipeline({**row, "seg_fields": []})
                samples.append((sample["inputs"], sample["data_samples"].gt_sem_seg.data))
        found.append((sorted(row["tile"] for row in rows), samples))
    assert found[0][0] == found[1][0] and len(found[0][1]) >= 9
    for one, same in zip(found[0][1], found[1][1], strict=True):
        assert all((a == b).all() for a, b in zip(one, same, strict=True))


def test_another_format_is_another_conversion(make_config: Make, tmp_path: Path, digests: Digests) -> None:
    convert_labels(make_config())
    before = digests(tmp_path / "out")
    with pytest.raises(JobError, match="tile_format was None, now 'tif'"):
        convert_labels(make_config(tile_format="tif"))
    assert digests(tmp_path / "out") == before
    convert_labels(make_config(tile_format="tif"), overwrite=True)
    convert_labels(make_config("fresh", tile_format="tif"))
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")
    with pytest.raises(JobError, match="tile_format was 'tif', now None"):
        convert_labels(make_config())
    with pytest.raises(ConfigError, match="one of png, tif, not 'jpg'"):
        convert_labels(make_config(tile_format="jpg"))


def test_lost_and_damaged_tiffs_are_made_again(make_config: Make, tmp_path: Path, digests: Digests) -> None:
    convert_labels(make_config(tile_format="tif"))
    before = digests(tmp_path / "out")
    (tmp_path / "out/gray/P0001__0_0.tif").unlink()
    path = tmp_path / "out/images/P0002__0_0.tif"
    path.write_bytes(path.read_bytes()[:100])
    assert convert_labels(make_config(tile_format="tif")).converted == 2
    assert digests(tmp_path / "out") == before


def test_images_that_stay_whole_are_referenced(make_config: Make, tmp_path: Path, world: Path) -> None:
    convert_labels(make_config(tile_format="tif", tiling=None))
    assert not list((tmp_path / "out/images").iterdir())
    tiles = list(open_labels(tmp_path / "out"))
    assert tiles and {tile.labels.suffix for tile in tiles} == {".tif"}
    assert all(tile.image is not None and tile.image.parent == world / "images" for tile in tiles)


def test_exports_are_those_of_png_tiles(both: tuple[Path, Path], tmp_path: Path) -> None:
    made = []
    for root in both:
        out = tmp_path / f"of_{root.name}"
        export_labels(root, ["pkl", "color", "yolo"], out)
        files = [path for path in sorted(out.rglob("*")) if path.is_file() and not path.name.startswith(".export")]
        made.append({str(path.relative_to(out).with_suffix("")): path for path in files})
    assert list(made[0]) == list(made[1])
    for name, path in made[0].items():
        if "yolo/images" not in name:
            assert path.read_bytes().replace(b".png", b".tif") == made[1][name].read_bytes().replace(b".png", b".tif")
    assert {path.suffix for name, path in made[1].items() if "gray/" in name} == {".png"}  # as the release has them
