"""Statistics of land-cover sets as a folder of CSV files and figures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsseg.command_list import command
from rsseg.datasets.checking.counts import LabelCounts, count_set, count_share, labelled_parts
from rsseg.datasets.openearthmap.groups import groups_of
from rsseg.engine.features import encoder_features
from rsseg.errors import ConfigError
from rsseg.io.chunks import CHUNKS
from rsseg.io.files import replacing
from rsseg.io.shards import Shard
from rsseg.io.tables import csv_writer
from rsseg.reports.figures import save_figure
from rsseg.reports.land_cover import figures
from rsseg.reports.land_cover.similarity import project_features, region_means
from rsseg.reports.land_cover.tables import class_text, write_classes, write_groups, write_images, write_origins

__all__ = ["draw_similarity", "report_sets"]

_log = logging.getLogger("rsseg")


def report_sets(
    configs: Sequence[Mapping[str, Any]],
    out: Path,
    splits: Sequence[str] = ("train", "val"),
    workers: int = 1,
    shard: Shard = Shard(),  # noqa: B008, it is a tuple
) -> list[LabelCounts]:
    """Count the labels of each config's set and write what there is to see.

    Writes ``classes.csv``, ``class_shares.png`` and ``segments.png`` for all sets, ``images_<set>.csv`` for each, and
    ``left_out_<set>.txt`` where labels could not be used; for sets with OpenEarthMap's regions
    ``groups_<set>.csv``, ``origins_<set>.csv``, ``continents_<set>.png``, ``mix_<kind>_<set>.png``.

    Args:
        configs: Segmentation configs, one label set each; mmengine's default scope must be set.
        out: Folder; made where it is missing.
        splits: Of ``train``, ``val``, ``test``.
        workers: Threads that read labels.
        shard: Which share of the labels this job counts, of several that share the folder; the last one writes.

    Returns:
        The counts; none while other jobs have not done their share.

    Raises:
        FileNotFoundError: A set cannot be opened.
        UserError: A config has several label sets, or two have the same.
        OSError: A file cannot be written; the message names it.
    """
    parts = [labelled_parts(config, splits) for config in configs]
    names = [part[0].name for part in parts]
    if len(set(names)) != len(names):
        raise ConfigError(f"two configs have the same dataset: {', '.join(names)}; expected one config per dataset")
    out.mkdir(parents=True, exist_ok=True)
    found = [
        count_set(part, workers) if shard.world == 1 else count_share(part, out / CHUNKS, shard, workers)
        for part in parts
    ]
    sets = [counts for counts in found if counts is not None]
    if len(sets) < len(found):
        return []
    for counts in sets:
        _log.info("%s", class_text(counts))
        groups = groups_of(counts.images)
        _write_left_out(counts, out / f"left_out_{counts.name}.txt")
        write_images(counts, groups, out / f"images_{counts.name}.csv")
        if groups:
            write_groups(counts, groups, out / f"groups_{counts.name}.csv")
            write_origins(counts, groups, out / f"origins_{counts.name}.csv")
            save_figure(figures.continent_figure(counts, groups), out / f"continents_{counts.name}.png")
            for kind in ("region", "continent"):
                save_figure(figures.mix_figure(counts, groups, kind), out / f"mix_{kind}_{counts.name}.png")
    write_classes(sets, out / "classes.csv")
    save_figure(figures.class_share_figure(sets), out / "class_shares.png")
    save_figure(figures.segment_figure(sets), out / "segments.png")
    return sets


def _write_left_out(counts: LabelCounts, path: Path) -> None:
    """Name the labels that could not be used; no file where all could."""
    path.unlink(missing_ok=True)
    if counts.problems:
        with replacing(path) as file:
            file.write("\n".join([*counts.problems, ""]).encode())


def draw_similarity(model: Any, counts: LabelCounts, out: Path, size: int | None = None) -> None:
    """Write ``regions.csv`` and ``regions.png``: regions in the plane by the similarity of their images' features.

    Images that are not there, such as xBD's, stay out; how many they are goes to the log.

    Args:
        model: From :func:`rsseg.engine.features.load_encoder`.
        counts: A set with OpenEarthMap's regions.
        out: Folder.
        size: As for :func:`rsseg.engine.features.encoder_features`.

    Raises:
        MissingPackageError: scikit-learn is not installed.
        UserError: The set has images of fewer than 4 regions, or an image cannot be read.
    """
    images = [path for path in counts.images if path.is_file()]
    if len(images) < len(counts.images):
        gone = len(counts.images) - len(images)
        _log.warning(
            "%d of %d images are missing and left out; %s adds the images of xBD",
            gone,
            len(counts.images),
            command("fill-xbd"),
        )
    groups = groups_of(images)
    found = sum(group.kind == "region" for group in groups)
    if found < 4:
        raise ConfigError(
            f"{counts.name} has images of {found} of OpenEarthMap's regions; the figure of regions needs at least 4"
        )
    features = encoder_features(model, images, size)
    regions, means = region_means(features, groups)
    points = project_features(means)
    with csv_writer(out / "regions.csv", ["region", "continent", "images", "x", "y"]) as write:
        for group, (x, y) in zip(regions, points.tolist(), strict=True):
            write([(group.name, group.continent, len(group.rows), round(x, 4), round(y, 4))])
    save_figure(figures.region_figure(regions, points), out / "regions.png")
