"""One raster to one map: plan, strips, files; started again, it goes on."""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import rasterio
from rasterio.errors import NotGeoreferencedWarning

import rsseg
from rsseg.errors import ConfigError, DataError, UnreadableFileError
from rsseg.io.bands import PixelSpec
from rsseg.io.files import locked, remove_abandoned, replacing
from rsseg.io.georeference import GeoReference
from rsseg.io.progress import Progress
from rsseg.io.rasters import opened
from rsseg.io.remote import source_state
from rsseg.io.sums import sum_of
from rsseg.io.tables import read_json
from rsseg.mapping.area import Area
from rsseg.mapping.grid import BLENDS, Grid, GridPart
from rsseg.mapping.joining import write_geotiff
from rsseg.mapping.masking import MaskedSource
from rsseg.mapping.output import sync, write_cog, write_overviews, write_png
from rsseg.mapping.plan import TAG, may_keep, parts_of, plan_texts
from rsseg.mapping.products import Products, check_products, make_products, style_files
from rsseg.mapping.sharing import WHOLE, Part
from rsseg.mapping.source import CACHE, RasterSource
from rsseg.mapping.stored import StoredMap
from rsseg.mapping.strips import Source, Strips, WindowScorer
from rsseg.metainfo import ClassTable

__all__ = ["MapOptions", "map_raster"]

_log = logging.getLogger("rsseg")
_PLAN = f"{TAG}PLAN"
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD in malloc.h


@dataclass(frozen=True)
class MapOptions:
    """How a raster is mapped.

    Attributes:
        bands: Bands from 1, red first; None takes those that the file calls red, green and blue.
        value_range: (low, high) values that become 0 and 255; ``"raw"`` for numbers as they are; None for 8 bits.
        gsd: Metres per pixel to resample to, or None.
        window: (height, width) of windows.
        overlap: Share of a window that neighbours have in common at least, in [0, 1).
        blend: How windows are blended, see ``BLENDS``.
        batch: Windows per batch.
        probabilities: Also write probabilities: None, ``top`` or ``all``.
        overwrite: Replace a map or half a map that other settings have made.
        threshold: Pixels whose most probable class is less probable than this are 255; None for none.
        update: Map a raster anew that has changed since its map was made.
        area: Map only this area of interest.
    """

    bands: tuple[int, ...] | None = None
    value_range: tuple[float, float] | Literal["raw"] | None = None
    gsd: float | None = None
    window: tuple[int, int] = (1024, 1024)
    overlap: float = 0.25
    blend: str = "cosine"
    batch: int = 1
    probabilities: str | None = None
    overwrite: bool = False
    threshold: float | None = None
    update: bool = False
    area: Area | None = None

    def __post_init__(self) -> None:
        if self.blend not in BLENDS:
            raise ConfigError(f"unknown blend {self.blend!r}; expected one of: {', '.join(BLENDS)}")
        PixelSpec(self.bands, self.value_range)  # which refuses what is not allowed
        if not 0 <= self.overlap < 1:
            raise ConfigError(f"overlap must be at least 0 and less than 1 (a share of the window), got {self.overlap}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold must be a probability from 0 to 1, got {self.threshold}")
        if self.batch < 1 or (self.gsd is not None and not self.gsd > 0):
            raise ConfigError(f"batch {self.batch} and gsd {self.gsd} must be positive")

    def grid(self, size: tuple[int, int]) -> Grid:
        """The windows over a raster of (H, W) pixels."""
        (height, width), share = self.window, self.overlap
        return Grid(size, self.window, (round(height * share), round(width * share)))


@dataclass
class _Job:
    target: Path
    georeference: GeoReference
    strips: Strips
    table: ClassTable
    plan: dict[str, Any]
    options: MapOptions
    original: GeoReference  # of the raster's own pixels
    corner: tuple[int, int]  # of the strips, where the map begins
    stored: StoredMap | None = None

    @property
    def folder(self) -> Path:
        return self.strips.folder

    @property
    def code(self) -> str:
        return sum_of(json.dumps(self.plan, sort_keys=True).encode())[:16]


def map_raster(
    source: str,
    target: Path,
    predictor: WindowScorer,
    table: ClassTable,
    options: MapOptions,
    about: Mapping[str, Any],
    part: Part = WHOLE,
    products: Products = Products(),  # noqa: B008, it is frozen
    report: Callable[[float], None] = lambda share: None,
    stored: StoredMap | None = None,
) -> bool:
    """Map one raster; of several processes each computes its strips, and the last one to end writes the files.

    Args:
        source: Anything that GDAL opens.
        target: The map, a ``.tif``; or a ``.png`` for a picture that lies nowhere.  What is unfinished lies beside it
            in ``.<name>.parts``.
        predictor: The model.
        table: Its classes.
        options: How.
        about: What made the scores (config, checkpoint, their hashes ...); goes into the map, and a run with another
            one does not go on with this one's strips.
        part: Which of its strips this call computes.
        products: What to make from the finished map; it is no part of the settings, and can be requested later.
        report: See :meth:`rsseg.mapping.strips.Strips.compute`; what it raises interrupts the work.
        stored: The map in the storage where it is to go; one that is there already is not made again.

    Returns:
        Whether the map is there now; otherwise other processes still compute their strips.

    Raises:
        JobError: The map is there, or begun, with other settings, or of a raster that has changed since.
        OSError: A file cannot be read or written.
        UserError: Source and settings do not go together, or the map would take the source's place.
    """
    _give_memory_back()
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise DataError(f"{target}: is the source itself; choose another name for the map")
    with rasterio.Env(GDAL_CACHEMAX=CACHE), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # the areas say so
        raster = RasterSource(source, options.bands, options.value_range, options.gsd)
        try:
            job = replace(_plan(raster, target, predictor, table, options, about), stored=stored)
            check_products(target, products, job.georeference, job.original)
            if stored is not None and stored.is_there(job.plan, job.code, products, options.update, options.overwrite):
                return True
            if _is_done(job):
                _log.info("%s: exists already", target)
                if part.low > 0:
                    return True
            else:
                _prepare(job)
                with rasterio.Env(GDAL_CACHEMAX=raster.cache_size(job.strips.grid.extent[0])):
                    _compute_share(job, part, report)
        finally:
            raster.close()
        return _finish(job, products)


def _give_memory_back() -> None:
    """Let the C library return large arrays as soon as they are freed, for this process.

    By default glibc learns to keep blocks of up to 32 MiB, one set for each thread: half as much memory again.
    """
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 4 << 20)


class _View(NamedTuple):
    """What of a raster is mapped: its windows, and the map's place and pixels."""

    source: Source
    grid: Grid
    place: GeoReference
    corner: tuple[int, int]
    window: tuple[int, int, int, int]


def _view(raster: RasterSource, options: MapOptions) -> _View:
    """The whole raster; or, of an area, those windows of the same grid that reach into it: inside, all is equal."""
    grid, place = options.grid(raster.size), raster.georeference
    if options.area is None:
        return _View(raster, grid, place, (0, 0), (0, 0, *raster.size[::-1]))
    pixels = options.area.on(place, raster.path)
    part, (x1, y1, x2, y2) = GridPart.of(grid, *pixels.window), pixels.window
    corner = y1 - part.origin[0], x1 - part.origin[1]
    source = MaskedSource(raster, pixels, part.origin)
    return _View(source, part, place.window(x1, y1, x2 - x1, y2 - y1), corner, pixels.window)


def _plan(
    raster: RasterSource, target: Path, predictor: WindowScorer, table: ClassTable, options: MapOptions, about: Mapping
) -> _Job:
    view = _view(raster, options)
    grid = view.grid
    file = Path(raster.path)
    plan = {
        "source": file.name if file.is_file() else raster.path,
        "source_state": source_state(raster.path),
        "bands": list(raster.bands),
        "range": list(options.value_range) if isinstance(options.value_range, tuple) else options.value_range,
        "gsd": options.gsd,
        "size": list(raster.size),
        "window": list(grid.window),
        "overlap": list(grid.overlap),
        "blend": options.blend,
        "batch": options.batch,
        "probabilities": options.probabilities,
        "threshold": options.threshold,
        "classes": list(table.classes),
        "class_table": table.rows,
        "version": rsseg.__version__,
        **about,
    }
    plan |= {key: text for key, text in (("datetime", raster.taken), ("stac_item", raster.item)) if text is not None}
    if options.area is not None:
        plan["area"] = {"name": options.area.label, "sha256": options.area.digest, "window": list(view.window)}
    folder = parts_of(target)
    kept = options.probabilities, options.threshold
    strips = Strips(view.source, predictor, grid, options.blend, folder, options.batch, *kept)
    if target.suffix.lower() == ".png" and not raster.georeference.is_empty:
        raise ConfigError(
            f"{target}: PNG cannot store georeferencing, which {raster.path} has; name the map {target.stem}.tif"
        )
    return _Job(target, view.place, strips, table, plan, options, raster.original, view.corner)


def _is_done(job: _Job) -> bool:
    """Whether the map is there, made from the same raster with the same settings; or uploaded by another process."""
    if not job.target.exists():
        return job.stored is not None and job.stored.is_whole(job.code)
    try:
        with opened(job.target) as file:
            tags = file.tags()
    except UnreadableFileError:  # half a file of another program
        tags = {}
    if tags.get(_PLAN) == job.code:
        return True
    found = {key.removeprefix(TAG).lower(): text for key, text in tags.items() if key.startswith(TAG) and key != _PLAN}
    options = job.options
    what = "exists and was made with another"
    return may_keep(found, plan_texts(job.plan), what, job.target, options.update, options.overwrite)


def _prepare(job: _Job) -> None:
    """Make the folder of the strips, or see that they belong to this run."""
    plan = job.folder / "plan.json"
    text = json.dumps(job.plan, indent=1, sort_keys=True)
    with _lock(job):
        remove_abandoned(job.folder)
        begun = any(job.folder.glob("*.strip")) or any(job.folder.glob(".tmp-strip-*"))
        if plan.exists() and not begun:  # the run before failed at once: nothing to keep, whatever its settings
            plan.unlink()
        if plan.exists():
            before, options = read_json(plan), job.options
            what = "was started with another"
            if not may_keep(before, json.loads(text), what, job.folder, options.update, options.overwrite):
                shutil.rmtree(job.folder)
        job.folder.mkdir(exist_ok=True)
        if not plan.exists() or plan.read_text(encoding="utf-8") != text:
            with replacing(plan, "plan") as file:
                file.write(text.encode())


@contextlib.contextmanager
def _lock(job: _Job) -> Iterator[None]:
    """Only one process at a time; a killed one lets go."""
    path = job.target.with_name(f".{job.target.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise OSError(error.errno, f"{job.target}: cannot be written ({error.strerror}: {error.filename})") from error
    with locked(path):
        yield


def _compute_share(job: _Job, part: Part, report: Callable[[float], None]) -> None:
    """Compute, when no other process does; another command may finish the map in the meantime."""
    busy = f"{job.target}: another process is at work on this map; waiting for it"
    try:
        own = part.strips(len(job.strips.grid.ys))
        with locked(job.folder / f"{own.start}-{own.stop}.lock", busy):
            if not _is_done(job):
                _compute(job, own, part.reports, report)
    except OSError:
        if not _is_done(job):
            raise
        _log.info("%s: another process has finished this map", job.target)


def _compute(job: _Job, own: range, reports: bool, report: Callable[[float], None]) -> None:
    missing = [number for number in job.strips.missing() if number in own]
    if len(missing) < len(own):
        _log.info("%s: %d of %d strips are finished already", job.target, len(own) - len(missing), len(own))
    progress = Progress(len(missing), job.target.name, reports, "strip")
    job.strips.compute(missing, progress.step, report)
    progress.close()


def _finish(job: _Job, products: Products) -> bool:
    """Write the files, if this is the last process to get here."""
    with _lock(job):
        if not _is_done(job):
            if job.strips.missing():
                return False
            _write(job, products)
        shutil.rmtree(job.folder, ignore_errors=True)
        if not job.target.exists():  # another process has uploaded it, with its products
            return True
        make_products(job.target, job.table, products, job.original)
        job.target.with_name(f".{job.target.name}.lock").unlink(missing_ok=True)
    return True


def _write(job: _Job, products: Products) -> None:
    metadata = {f"{TAG}{key.upper()}": text for key, text in plan_texts(job.plan).items()}
    metadata[_PLAN] = job.code
    flat = write_geotiff(job.strips, job.georeference, job.table, metadata, job.folder, job.corner)
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    finished = [(job.folder / f"map{job.target.suffix}", job.target)]
    if job.target.suffix.lower() == ".png":
        write_png(flat[0], finished[0][0])
    else:
        write_overviews(flat[0])
        write_cog(flat[0], finished[0][0], threads=threads)
    if len(flat) > 1:
        finished.append(
            (job.folder / "probabilities.tif", job.target.with_name(f"{job.target.stem}_probabilities.tif"))
        )
        write_cog(flat[1], finished[1][0], "average", threads)
    sync([made for made, _ in finished])
    for path in style_files(job.target, products):  # of a map with other classes, perhaps
        path.unlink(missing_ok=True)
    for made, final in reversed(finished):  # the map last: where it is, all is
        os.replace(made, final)
    _log.info("%s: %d x %d pixels, %d classes", job.target, *reversed(job.georeference.size), job.table.num_classes)
