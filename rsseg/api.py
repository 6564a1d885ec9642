"""The Python interface for scripts and notebooks: the commands as functions, with arrays or paths in and out.

    model = rsseg.load_model("config.py", "iter_80000.pth")
    labels = model.predict(image)                       # array (H, W, bands) in, class ids (H, W) out
    model.map("scene.tif", "map.tif", vectors="gpkg")   # a raster of any size, as the command ``rsseg map``

All names here are those of the package, too: ``rsseg.load_model``.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsseg.commands import arguments_of
from rsseg.errors import ConfigError, DataError
from rsseg.io.hub import weights_of
from rsseg.io.storage import is_storage
from rsseg.metainfo import ClassTable, load_metainfo

if TYPE_CHECKING:
    from rsseg.datasets.checking.check import Check
    from rsseg.datasets.detection import Detections
    from rsseg.mapping.change import Transitions

__all__ = ["Model", "check_dataset", "compare_maps", "load_model", "map_raster", "read_labels", "segment"]

PathLike = str | Path
_LOADING = ("head", "classes", "vocabulary", "template", "device", "precision", "tta", "trust", "class_map",
            "trust_classes", "cfg_options", "config", "checkpoint", "model", "runtime")  # fmt: skip
_EXPORTED = (".onnx", ".xml")


class Model:
    """A trained model, loaded once; see :func:`load_model`.

    Attributes:
        table: Class table of what it predicts.
    """

    def __init__(self, config: PathLike, checkpoint: str | None, **options: Any) -> None:
        from rsseg.stack import require_stack

        require_stack()
        from rsseg.mapping.command import prepare
        from rsseg.mapping.exported import load_exported
        from rsseg.mapping.model import load_model
        from rsseg.mapping.options import add_options

        exported = checkpoint is None and Path(config).suffix.lower() in _EXPORTED
        names = {"model": str(config)} if exported else {"config": str(config), "checkpoint": checkpoint}
        load: Any = load_exported if exported else load_model
        self._base = arguments_of(add_options, {**names, **options})
        found: list[Any] = []

        def once(*args: Any, **kwargs: Any) -> Any:
            if not found:
                found.append(load(*args, **kwargs))
            return found[0]

        self._once = once
        self.table: ClassTable = prepare(self._base, once).table

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the ids that :meth:`predict` gives."""
        return self.table.classes

    def map(self, source: PathLike, target: PathLike, **options: Any) -> PathLike:
        """Map a raster of any size, as ``rsseg map SRC DST`` does; a call that was interrupted goes on.

        Args:
            source: A raster that GDAL reads; or a folder, prefix, list or STAC, as for the command.
            target: The map, a ``.tif``; or a ``.png`` for a picture without georeference; or the folder of several.  In
                a storage, its address: ``s3://bucket/map.tif``.
            **options: Those of ``rsseg map``, with ``_`` for ``-``: ``bands=(3, 2, 1)``, ``range=(0, 3000)``,
                ``gsd=0.5``, ``probabilities="top"``, ``vectors="gpkg"``, ``overwrite=True`` ...

        Returns:
            ``target``: a path, or the address.

        Raises:
            ConfigError: There is no such option, or it does not fit the model.
            UserError: The source cannot be mapped, or the target was made with other settings.
            OSError: A file cannot be read or written.
        """
        from rsseg.mapping.command import deliver_to, run
        from rsseg.mapping.options import add_options
        from rsseg.mapping.selecting import request_of, selected_area
        from rsseg.mapping.sources import sources_of

        if fixed := [name for name in options if name in _LOADING]:
            raise ConfigError(f"{fixed[0]!r} belongs to the model; give it to rsseg.load_model")
        args = arguments_of(add_options, {**vars(self._base), **options})
        delivery, local = deliver_to(args, target)
        if delivery is not None and local == delivery.folder:
            raise ConfigError(f"{target}: names a folder; name the map in it, {str(target).rstrip('/')}/NAME.tif")
        jobs = sources_of(str(source), local, request_of(args, selected_area(args)), target)
        run(args, jobs, load=self._once, delivery=delivery)
        return local if delivery is None else target

    def predict(self, image: PathLike | NDArray[Any], **options: Any) -> NDArray[np.uint8]:
        """Class ids of an image that fits into memory.

        Args:
            image: A file; or an array (H, W) or (H, W, bands) with the bands in the order of the model's training
                files: RGB for uint8 images.
            **options: As for :meth:`map`.

        Returns:
            (H, W) uint8, indices into :attr:`classes`; 255 where there is no class.

        Raises:
            DataError: The array has another shape, or a type that no raster has.
            UserError: As for :meth:`map`.
        """
        from rsseg.io.labels import read_labels

        with tempfile.TemporaryDirectory() as folder:
            source = image if isinstance(image, (str, Path)) else _write_array(Path(folder) / "image.tif", image)
            return read_labels(self.map(source, Path(folder) / "map.tif", **options))


def load_model(
    config: PathLike,
    checkpoint: PathLike | None = None,
    *,
    head: str | None = None,
    classes: str | None = None,
    vocabulary: str | None = None,
    device: str | None = None,
    tta: bool = False,
    precision: str = "auto",
    trust: bool = False,
    cfg_options: dict[str, Any] | None = None,
    runtime: str | None = None,
) -> Model:
    """Load a trained model for maps and arrays.

    Args:
        config: Its config file; ``rsseg::samrs/upernet_swin_sep.py`` names one of the package, ``hf://OWNER/NAME`` that
            of a model on the hub.  Or the file of an exported model, ``.onnx`` or ``.xml``.
        checkpoint: Its weights, a file or ``hf://OWNER/NAME``.  A model on the hub, one that is exported, and one that
            is not trained need none.
        head: Label set, for models with several heads.
        classes: Class table (a name or a ``.json``), if the config does not name one.
        vocabulary: Classes of an open-vocabulary model: ``"runway, solar panel"``, a class table or a ``.txt`` file.
        device: ``cpu``, ``cuda``, ``cuda:1`` ...; None takes a GPU where there is one.
        tta: Average over the flips of the config's ``tta_pipeline``.
        precision: ``auto``: on a CPU by what a short test finds to be faster and off by rounding only; ``exact``; or
            ``bf16``.
        trust: Allow the checkpoint to run code while it loads.
        cfg_options: Settings of the config to override, by their full names.
        runtime: What runs an exported model, ``onnxruntime`` or ``openvino``.

    Raises:
        ConfigError: Arguments, config and checkpoint do not go together.
        DataError: The checkpoint is damaged, or holds more than tensors and plain values.
        FileNotFoundError: A file is missing.
    """
    return Model(
        config, weights_of(config, checkpoint), head=head, classes=classes, vocabulary=vocabulary, device=device,
        tta=tta, precision=precision, trust=trust, cfg_options=cfg_options, runtime=runtime,
    )  # fmt: skip


def map_raster(source: PathLike, target: PathLike, model: Model, **options: Any) -> PathLike:
    """Map a raster of any size with a loaded model; see :meth:`Model.map`."""
    return model.map(source, target, **options)


def segment(
    image: PathLike | NDArray[Any],
    config: PathLike,
    checkpoint: PathLike | None = None,
    *,
    vocabulary: str | None = None,
    head: str | None = None,
    out: PathLike | None = None,
    **options: Any,
) -> NDArray[np.uint8]:
    """Segment one image by the classes of a model, or by words of your own with an open-vocabulary model.

    To segment several images, load the model once: :func:`load_model` and :meth:`Model.predict`.

    Args:
        image: A file or an array, as for :meth:`Model.predict`.
        config: Config of the model.
        checkpoint: Its weights, as for :func:`load_model`.
        vocabulary: Classes of an open-vocabulary model, separated by commas.
        head: Label set, for models with several heads.
        out: Folder that gets what ``rsseg segment`` writes: the map, a picture with a legend, areas; for files only.
        **options: As for :func:`load_model`; with ``out`` all of ``rsseg segment``.

    Returns:
        (H, W) uint8: indices of the classes; 255 where there is none.

    Raises:
        UserError: As for :func:`load_model` and :meth:`Model.predict`.
    """
    model = {"vocabulary": vocabulary, "head": head, **options}
    if out is None:
        return load_model(config, checkpoint, **model).predict(image)
    if not isinstance(image, (str, Path)):
        raise ConfigError("segment(out=...) requires a file; for an array use the result, or write it to a file first")
    from rsseg.io.labels import read_labels
    from rsseg.mapping.options import add_segment_arguments
    from rsseg.stack import require_stack

    require_stack()
    if is_storage(out):
        raise ConfigError(
            f"segment(out={out!r}): the result is read from there; name a local folder (rsseg segment takes addresses)"
        )
    given = {"source": [str(image)], "out": Path(out), "config": str(config)}
    given["checkpoint"] = weights_of(config, checkpoint)
    return read_labels(segment_files(arguments_of(add_segment_arguments, {**given, **model}))[0])


def segment_files(args: argparse.Namespace) -> list[Path]:
    """The body of ``rsseg segment``: maps, pictures with legends, areas; returns the maps, head by head."""
    from rsseg.mapping.segmenting import heads_of, run_segmentation
    from rsseg.reports.maps.overlay import stack_overlays, write_overlay

    if args.head == "all" and is_storage(args.out):
        raise ConfigError(f"--head all draws the maps of all heads together, and needs a local --out, not {args.out}")
    if args.head == "all":
        found = {
            head: segment_files(argparse.Namespace(**{**vars(args), "head": head, "out": Path(args.out) / head}))
            for head in heads_of(args)
        }
        for name in sorted({target.stem for targets in found.values() for target in targets}):
            pictures = {head: Path(args.out) / head / f"{name}_overlay.png" for head in found}
            if not all(picture.exists() for picture in pictures.values()):
                continue  # another process has not drawn its own yet
            path = Path(args.out) / f"{name}_heads.png"
            stack_overlays(pictures, path)
            logging.getLogger("rsseg").info("%s", path)
        return [target for targets in found.values() for target in targets]
    maps: list[Path] = []

    def show(image: str, target: Path) -> None:
        path = target.with_name(f"{target.stem}_overlay.png")
        write_overlay(target, image, path)
        maps.append(target)
        logging.getLogger("rsseg").info("%s", path)

    run_segmentation(args, show)
    return maps


def check_dataset(
    config: PathLike, cfg_options: dict[str, Any] | None = None, workers: int = 1, domains: bool = False
) -> Check:
    """Read every image and label of a config once, as ``rsseg check`` does.

    Args:
        config: Its file.
        cfg_options: Settings to override, by their full names.
        workers: Threads.
        domains: Compare source and target of a config for domain adaptation, too.

    Returns:
        :class:`rsseg.datasets.checking.check.Check`; what would stop or spoil a training is in its ``problems``, what
        differs between source and target in its ``domains``.

    Raises:
        ConfigError: The config has no data to check, or no source and target to compare.
    """
    from rsseg.stack import require_stack

    require_stack()
    from mmengine.registry import init_default_scope

    from rsseg.datasets.checking.check import check_config
    from rsseg.io.configs import read_config

    cfg = read_config(config, cfg_options)
    init_default_scope(cfg.get("default_scope") or "mmseg")
    check = check_config(cfg, workers)
    if domains:
        from rsseg.datasets.checking.domains import compare_domains

        check.domains = compare_domains(cfg, check, workers)
    return check


def compare_maps(before: PathLike, after: PathLike, out: PathLike, **options: Any) -> Transitions:
    """Compare two class maps of one place, as ``rsseg change BEFORE AFTER OUT`` does.

    Args:
        before: The earlier map, of ``rsseg map`` or any raster with one band of class values.
        after: The later map, on any grid.
        out: Local folder of the tables, the raster, the polygons and the page.
        **options: Those of ``rsseg change``, with ``_`` for ``-``: ``classes="openearthmap"``, ``vectors="gpkg"`` ...

    Returns:
        :class:`rsseg.mapping.change.Transitions`: ``pixels`` and ``metres`` of every pair of classes as arrays, and
        the tables.

    Raises:
        UserError: The maps cannot be compared.
        OSError: A file cannot be read or written.
    """
    from rsseg.mapping import change
    from rsseg.mapping.change.options import add_options
    from rsseg.reports.maps.change import report_change

    if is_storage(out):
        raise ConfigError(f"{out}: the result goes to a local folder; name one, and copy it when it is finished")
    chosen = change.ChangeOptions(**vars(arguments_of(add_options, options)))
    found = change.compare_maps(str(before), str(after), Path(out), chosen)
    report_change(Path(out))
    return found


def read_labels(
    format: str, images: PathLike, annotations: PathLike, classes: str | ClassTable, on_error: str = "raise"
) -> Iterator[tuple[Path, Detections]]:
    """Detection labels of a folder of images, image by image.

    Args:
        format: ``dota``, ``dior``, ``fair1m``, ``hrsc`` or ``coco``.
        images: Folder of images.
        annotations: Folder of label files, or COCO's JSON file.
        classes: Class table of the labels: a name, the path of a ``.json`` or a table.
        on_error: ``"raise"`` stops at the first problem, ``"skip"`` leaves out what it concerns and lists it in
            ``problems`` of the :class:`~rsseg.datasets.detection.Detections`.

    Yields:
        The image file and its :class:`~rsseg.datasets.detection.Detections`.

    Raises:
        AnnotationError: A label is unusable and ``on_error`` is ``"raise"``.
        FileNotFoundError: A folder does not exist.
    """
    from rsseg.datasets.detection import open_source

    table = load_metainfo(classes) if isinstance(classes, str) else classes
    source = open_source(format, images, annotations, table, on_error=on_error)  # type: ignore[arg-type]
    return ((item.image, source.read(item)) for item in source.items)


def _write_array(path: Path, image: NDArray[Any]) -> Path:
    import rasterio

    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or not pixels.size or pixels.dtype.kind not in "uif":
        raise DataError(
            f"an image must be an array (H, W) or (H, W, bands) of numbers, got shape {pixels.shape}, {pixels.dtype}"
        )
    height, width, bands = pixels.shape
    profile = {"photometric": "RGB"} if bands == 3 else {}
    with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=bands, dtype=pixels.dtype,
                       **profile) as file:  # fmt: skip
        file.write(np.moveaxis(pixels, -1, 0))
    return path
