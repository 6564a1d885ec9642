"""Sets of scenes on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2

from rsseg.errors import ConfigError, JobError
from rsseg.io.files import replacing
from rsseg.io.tables import read_json, write_json
from rsseg.io.workers import process_pool

from .layouts import LAYOUTS, labels_of
from .scene import Scene, check_ranges, check_size, check_themes, make_scene

_DOMAINS = ("source", "target")
ATTEMPTS = 12
"""A detection image without any object is drawn anew at most so many times."""


@dataclass(frozen=True)
class Recipe:
    """What a set is made with; arguments as of :func:`write_scenes`, checked."""

    layout: str
    seed: int
    size: tuple[int, int]
    themes: tuple[str, ...]
    gsd: float | None
    nodata: float
    in_turn: bool = False

    def scene(self, index: int) -> Scene:
        """The scene of an image; for detection sets the first attempt with something to annotate."""
        layout = LAYOUTS[self.layout]
        themes = [self.themes[index % len(self.themes)]] if self.in_turn else self.themes
        for attempt in range(ATTEMPTS):
            key = [self.seed, layout.salt, index, attempt]
            region = layout.regions[index % len(layout.regions)] if layout.regions else None
            scene = make_scene(key, self.size, themes, self.gsd, self.nodata, region)
            if layout.label_set is None or labels_of(scene, layout.label_set)[0]:
                break
        return scene

    def claim(self, out: Path) -> None:
        """Record the recipe in ``out/scenes.json``, or check that the set there has the same.

        Raises:
            UserError: ``out`` holds a set made with other values.
        """
        record, mine = out / "scenes.json", json.loads(json.dumps(asdict(self)))
        found = {"in_turn": False, **read_json(record)} if record.is_file() else mine
        for key, value in mine.items():
            if found.get(key) != value:
                raise JobError(
                    f"{record}: made with {key}={found.get(key)!r}, not {value!r}; choose another folder, or delete "
                    "this one"
                )
        if not record.is_file():
            out.mkdir(parents=True, exist_ok=True)
            write_json(record, mine)


def write_scenes(
    layout: str,
    out: Path,
    count: int,
    seed: int = 0,
    size: int | tuple[int, int] = 512,
    *,
    theme: str | Sequence[str] | None = None,
    gsd: float | None = None,
    nodata: float = 0.08,
    in_turn: bool = False,
    val: int | None = None,
    test: int | None = None,
    workers: int = 1,
) -> list[str]:
    """Write a data set of scenes; finished images are kept, so a rerun completes a set or makes it longer.

    Args:
        layout: A key of ``LAYOUTS``.
        out: Root folder of the set; a file ``scenes.json`` in it records what it was made with.
        count: Number of images.
        seed: Not negative; image ``i`` depends on layout, seed, size, theme, gsd, nodata and ``i`` only.
        size: Pixels, one number or (H, W).
        theme: Kinds of scene, keys of ``THEMES``; None = those that suit the layout.
        gsd: Metres per pixel; None = by kind of scene, for land cover 0.5, for domains by region.
        nodata: Probability of an unlabelled black wedge.
        in_turn: Image ``i`` is of theme ``i`` modulo their number, so that a list holds as many of each; otherwise the
            theme of every image is drawn.
        val: Land cover only: images in ``val.txt``; None = a fifth.  For domains, of each domain, see below.
        test: Land cover only: images in ``test.txt``; None = a fifth. ``train.txt`` gets the rest.
        workers: Processes.

    The layout ``domains`` has lists for adaptation: ``source_train.txt``, ``source_val.txt``, ``target_train.txt``,
    ``target_val.txt`` and ``target_test.txt``; the source has no images to test.

    Returns:
        File stems in order.

    Raises:
        ConfigError: A value is not allowed, or ``out`` holds a set made with other values.
    """
    recipe = replace(_checked(layout, seed, size, theme, gsd, nodata), in_turn=in_turn)
    for name, value in (("count", count), ("workers", workers)):
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name} must be an integer of at least 1, got {value!r}")
    lists = _splits(layout, count, val, test)
    out = Path(out)
    recipe.claim(out)
    stems = _write_all(recipe, out, count, workers)
    for name, numbers in lists.items():
        _write(out / f"{name}.txt", "".join(f"{stems[i]}.tif\n" for i in numbers).encode())
    return stems


def _checked(
    layout: str,
    seed: int,
    size: int | tuple[int, int],
    theme: str | Sequence[str] | None,
    gsd: float | None,
    nodata: float,
) -> Recipe:
    """The recipe of checked arguments."""
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown layout {layout!r}; expected one of: {', '.join(LAYOUTS)}")
    if not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed must be an integer of at least 0, got {seed!r}")
    themes = check_themes(theme if theme is not None else LAYOUTS[layout].themes)
    check_ranges(gsd, nodata)
    fixed = 0.5 if gsd is None and layout == "landcover" else gsd
    return Recipe(layout, seed, check_size(size), tuple(themes), fixed, nodata)


def _splits(layout: str, count: int, val: int | None, test: int | None) -> dict[str, Sequence[int]]:
    """Image numbers of the land-cover lists; empty for the detection sets."""
    if not LAYOUTS[layout].land_cover:
        if val is not None or test is not None:
            names = [name for name, known in LAYOUTS.items() if known.land_cover]
            raise ConfigError(
                f"val={val!r} and test={test!r} apply to the layouts {' and '.join(map(repr, names))} only, not to "
                f"{layout!r}"
            )
        return {}
    regions = LAYOUTS[layout].regions
    if not regions:
        return _parts(range(count), val, test)
    mine = {name: [i for i in range(count) if regions[i % len(regions)].domain == name] for name in _DOMAINS}
    parts = {"source": _parts(mine["source"], val, 0), "target": _parts(mine["target"], val, test)}
    return {f"{name}_{part}": rows for name, own in parts.items() for part, rows in own.items() if rows}


def _parts(images: Sequence[int], val: int | None, test: int | None) -> dict[str, Sequence[int]]:
    """Images that train, and the last of them, which validate and test."""
    count = len(images)
    a, b = count // 5 if val is None else val, count // 5 if test is None else test
    if a < 0 or b < 0 or a + b > count:
        raise ConfigError(f"val={val!r} and test={test!r} must be at least 0 and together at most count={count}")
    return {"train": images[: count - a - b], "val": images[count - a - b : count - b], "test": images[count - b :]}


def _write_all(recipe: Recipe, out: Path, count: int, workers: int) -> list[str]:
    job = partial(_write_one, recipe, out)
    if workers == 1:
        return [job(i) for i in range(count)]
    with process_pool(workers, partial(cv2.setNumThreads, 1)) as pool:
        return list(pool.map(job, range(count), chunksize=4))


def _write_one(recipe: Recipe, out: Path, index: int) -> str:
    """Write the files of one image unless all are there."""
    layout = LAYOUTS[recipe.layout]
    stem = layout.stem(index)
    if not all((out / path).is_file() for path in layout.files(stem)):
        for path, data in layout.encode(recipe.scene(index), stem, index).items():
            _write(out / path, data)
    return stem


def _write(path: Path, data: bytes) -> None:
    """Write a file so that it is either whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(data)
