"""Own words in the worker process: the open-vocabulary model, masks of views, and maps of whole rasters.

The three work functions take the options of the model, as :func:`rsseg.mapping.options.add_options` has them, in
``request["model"]``.  The network is loaded by the first of them; other words change only its texts.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.commands import arguments_of
from rsseg.errors import ConfigError, DataError, JobError
from rsseg.metainfo import ClassTable, word_table

__all__ = ["WordModel", "describe_model", "save_map", "segment_view"]

Models = dict[str, Any]
Progress = Callable[..., None]
_NONE = 255
_NAMED = 12  # classes in a message
_FEATURES = 1 << 30  # bytes of image features that are kept


class WordModel:
    """A segmentor that is loaded once and asked for different classes.

    Args:
        options: Those of ``rsseg map`` that name the model.

    Attributes:
        args: All options of ``rsseg map``, without a vocabulary.
        is_open: Whether it takes classes in words.
        features: What keeps the image features of the view that was seen last; None for models that have none apart.

    Raises:
        UserError: Options, config and checkpoint do not go together.
        OSError: A file is missing or cannot be read.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        from rsseg.engine import choose_precision
        from rsseg.mapping.command import prepare
        from rsseg.mapping.options import add_options

        self._loaded: list[Any] = []  # model and the meta of its checkpoint
        self._own: Sequence[str] = ()
        given = {name: value for name, value in options.items() if value is not None}
        self.args = arguments_of(add_options, given)
        self.setting = prepare(self.args, self.load)
        self.is_open = bool(self._own)
        self.features = _remembered(self._loaded[0])
        self.setting.predictor.use(choose_precision(self.args.precision, self._loaded[0]))

    def load(self, config: Any, *args: Any) -> Any:
        """As :func:`rsseg.mapping.model.load_model`; after the first time the model is only asked for other words."""
        from rsseg.mapping.model import load_model

        vocabulary = config.model.get("vocabulary")
        if not self._loaded:
            self._loaded += load_model(config, *args)
            self._own = () if vocabulary is None else tuple(vocabulary)
        elif vocabulary is not None:
            self._loaded[0].set_vocabulary(list(vocabulary))
        return tuple(self._loaded)

    def check(self, words: Sequence[str]) -> None:
        """See that the model can be asked for these words; none are its own classes.

        Raises:
            ConfigError: Its classes are fixed.
        """
        if words and not self.is_open:
            names = self.setting.table.classes
            shown = ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
            raise ConfigError(
                f"the model of this server has fixed classes ({shown}); remove the words, or start it with an "
                "open-vocabulary model, such as those of configs/landdiscover"
            )

    def scorer(self, words: Sequence[str]) -> tuple[ClassTable, Any]:
        """Classes, and what makes scores of windows for them."""
        table = word_table(words, "the request") if words else self.setting.table
        if self.is_open:
            self._loaded[0].set_vocabulary(list(table.texts if words else self._own))
        predictor = copy.copy(self.setting.predictor)
        predictor.classes = table.num_classes
        return table, predictor


def _remembered(model: Any) -> Any:
    from rsseg.models.gsnet.segmentor import GSNet
    from rsseg.models.remembered import RememberedFeatures

    if not isinstance(model, GSNet):
        return None
    model.extract_feat = RememberedFeatures(model.extract_feat, _FEATURES)  # type: ignore[method-assign]
    return model.extract_feat


def _look_at(model: WordModel, request: Mapping[str, Any] | None) -> None:
    """Keep the image features of the view of a request, for other words; None keeps none."""
    if model.features is None:
        return
    if request is None:
        model.features.look_at(None)
        return
    status = Path(request["path"]).stat()
    view = tuple(sorted(request["view"].items()))
    model.features.look_at((request["path"], status.st_size, status.st_mtime_ns, view))


def _model(request: Mapping[str, Any], models: Models, progress: Progress) -> WordModel:
    found = models.get("words")
    if found is None:
        progress(0, "loading the model")
        found = models["words"] = WordModel(request["model"])
    return found


def describe_model(request: dict[str, Any], models: Models, progress: Progress) -> dict[str, Any]:
    """Load the model, and say whether it takes words, and which classes are its own."""
    model = _model(request, models, progress)
    return {"is_open": model.is_open, "classes": _rows(model.setting.table)}


def _rows(table: ClassTable) -> list[dict[str, Any]]:
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in table.palette]
    return [
        {"id": number, "name": name, "color": colour}
        for number, (name, colour) in enumerate(zip(table.classes, colours, strict=True))
    ]


class _Picture:
    """A view's pixels, as :class:`rsseg.mapping.source.RasterSource` gives those of a raster."""

    def __init__(self, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        planes = np.moveaxis(pixels, -1, 0)
        planes = planes[::-1] if len(planes) == 3 else planes
        self.pixels = planes if planes.dtype == np.uint8 else planes.astype(np.float32)
        self.valid = None if valid.all() else valid

    def read(self, x1: int, y1: int, x2: int, y2: int) -> tuple[NDArray[np.generic], NDArray[np.bool_] | None]:
        """See there."""
        mask = None if self.valid is None else self.valid[y1:y2, x1:x2]
        return np.ascontiguousarray(self.pixels[:, y1:y2, x1:x2]), mask


def segment_view(request: dict[str, Any], models: Models, progress: Progress) -> dict[str, Any]:
    """Classes of what is seen in a view, and how probable they are.

    Args:
        request: ``path`` of the raster, ``view`` (west, south, east, north, width, height), ``words`` (none: the
            model's own classes), ``model``.
        models: Of the worker.
        progress: Gets partial results, of the rows of windows that are finished.

    Returns:
        ``classes`` (id, name, color), ``view``, ``has_place`` (pixels have a size on the ground); in ``data`` the class
        ids ``labels`` (H, W) uint8, 255 where there is no data or nothing yet, and the probabilities ``best`` (H, W)
        uint8, 0..``levels`` for 0..1, 255 likewise.

    Raises:
        UserError: The model cannot be asked for this, or the view shows nothing of the raster.
        OSError: The raster cannot be read.
    """
    from rsseg.io.bands import PixelSpec
    from rsseg.io.pixel_settings import check_raster
    from rsseg.mapping.strips import LEVELS, Strips, read_strip
    from rsseg.serving.places import Place
    from rsseg.serving.views import View, read_view

    model = _model(request, models, progress)
    model.check(request["words"])
    progress(0, "reading the view")
    table, predictor = model.scorer(request["words"])
    options, path, view = model.setting.options, request["path"], View(**request["view"])
    check_raster(path, model.setting.kept, model.args.checkpoint or "the model")
    pixels, valid = read_view(path, view, PixelSpec(options.bands, options.value_range))
    if not valid.any():
        raise DataError("the view shows nothing of the image; move the map to where the image is")
    _look_at(model, request)
    grid = options.grid(valid.shape)
    labels, best = np.full((2, *valid.shape), _NONE, np.uint8)
    found = {"classes": _rows(table), "view": request["view"], "has_place": Place.of(path).own}
    result = {**found, "data": {"labels": labels, "best": best, "levels": LEVELS}}
    finished = iter(range(len(grid.ys)))
    shares = [0.0]

    with tempfile.TemporaryDirectory() as folder:
        strips = Strips(_Picture(pixels, valid), predictor, grid, options.blend, Path(folder), options.batch, "top")

        def keep() -> None:
            number = next(finished)
            low, high = grid.strip(number)
            labels[low:high], best[low:high] = read_strip(strips, number)
            if number + 1 < len(grid.ys):
                progress(shares[0], "segmenting", result)

        def report(share: float) -> None:
            shares[0] = share
            progress(share, "segmenting")

        strips.compute(range(len(grid.ys)), keep, report)
    return result


def save_map(request: dict[str, Any], models: Models, progress: Progress) -> dict[str, Any]:
    """Map a raster, or a part of it, as ``rsseg map`` does; repeated after an interruption, it goes on.

    Args:
        request: ``path`` of the raster, ``target``, ``words``, ``threshold``, ``bounds`` (west, south, east, north in
            degrees; None for the whole raster), ``model``.
        models: Of the worker.
        progress: As everywhere.

    Returns:
        ``name``, the map's file name.

    Raises:
        JobError: There is such a map already, made otherwise.
        UserError: The raster cannot be mapped.
        OSError: A file cannot be read or written.
    """
    from rsseg.mapping.command import run
    from rsseg.serving.places import Place

    model = _model(request, models, progress)
    model.check(request["words"])
    _look_at(model, None)
    target, bounds = Path(request["target"]), request["bounds"]
    if bounds is not None and not Place.of(request["path"]).own:
        raise ConfigError("the image has no place on the Earth, so that no part of it can be named; map all of it")
    asked = {"vocabulary": list(request["words"]) or None, "threshold": request["threshold"], "probabilities": "top"}
    args = argparse.Namespace(**{**vars(model.args), **asked, "bounds": bounds and tuple(bounds)})
    try:
        run(args, [(request["path"], target)], load=model.load, report=lambda share: progress(share, "mapping"))
    except JobError as error:
        raise JobError(
            f"there is a map {target.stem!r} already, or one that was begun, which is of another image or part of "
            "it, or with other words or another threshold; choose another name"
        ) from error
    return {"name": target.name}
