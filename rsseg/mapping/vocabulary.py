"""Classes in the user's own words: what stands behind ``--vocabulary``, and what it does to a model's config."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rsseg.errors import ConfigError, DataError
from rsseg.io.names import read_lines
from rsseg.io.tables import parse_json
from rsseg.metainfo import ClassTable, list_metainfo, load_metainfo, word_table

__all__ = [
    "MODES",
    "VocabularyRequest",
    "apply_vocabulary",
    "mapping_window",
    "read_vocabulary",
]

MODES = ("slide", "five_view", "whole", "config")
"""How an open-vocabulary model sees a raster; see :func:`apply_vocabulary`."""

_LARGEST = 4096


def read_vocabulary(text: str) -> ClassTable:
    """Classes of what a user writes.

    Args:
        text: The name of a class table; a ``.json`` with a class table or a list of words; a ``.txt`` with one class a
            line (empty lines and those that begin with # do not count); or words with commas between them.  A class
            whose name has a comma stands in double quotes: ``runway, "road, paved"``.  In files nothing is quoted.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: There are no classes, one is empty or twice, or there are more than 255.
    """
    kind, path = Path(text).suffix.lower(), Path(text).expanduser()
    if kind in (".txt", ".json") and not path.is_file():
        raise FileNotFoundError(f"{text}: no such vocabulary file; the class tables of rsseg are: "
                                f"{', '.join(list_metainfo())}")  # fmt: skip
    if _is_table(text):
        try:
            return load_metainfo(text)
        except DataError as error:
            raise DataError(f"{error}; a list of words is written in [ ]") from error
    if kind == ".txt":
        return word_table([line for _, line in read_lines(path) if not line.startswith("#")], text)
    if kind == ".json":
        data = _json(path)
        if not isinstance(data, list) or not all(isinstance(word, str) for word in data):
            raise ConfigError(f"{text}: contains neither a class table nor a list of words")
        return word_table(data, text)
    try:
        words = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise ConfigError(f"the vocabulary {text}: {error}; double quotes must enclose a whole class name") from error
    return word_table(words, "the command line")


def _is_table(text: str) -> bool:
    path = Path(text).expanduser()
    return text in list_metainfo() or (path.suffix.lower() == ".json" and isinstance(_json(path), dict))


def _json(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: is not valid JSON ({error})") from error


class VocabularyRequest(NamedTuple):
    """What an open-vocabulary model is asked for.

    Attributes:
        table: The classes.
        name: Name or path of their class table; the table itself, where they are only words.
        mode: How rasters are seen: ``slide``, ``five_view`` or ``whole``.
    """

    table: ClassTable
    name: str | ClassTable
    mode: str


def apply_vocabulary(
    config: Any, vocabulary: str | Sequence[str] | None, template: str | None = None, mode: str | None = None
) -> VocabularyRequest | None:
    """Let the model of a config segment the classes of a vocabulary.

    Args:
        config: The model's config; it is changed, so its text tells one vocabulary from another.
        vocabulary: See :func:`read_vocabulary`; a list holds words, whatever they look like; None for the config's own.
        template: Text with ``{}`` where a class goes; None for the config's.
        mode: ``slide`` gives the model windows of the size that it sees, at the raster's resolution; ``five_view``
            is the released protocol on each window, ``whole`` squeezes each to what the model sees, ``config`` is what
            the config's ``test_cfg`` does; None is ``slide``.

    Returns:
        The request; None for a model whose classes are fixed.

    Raises:
        FileNotFoundError: There is no such file with a vocabulary.
        UserError: The vocabulary makes no sense, or the model has none.
    """
    model = config.get("model")
    if model is None:
        raise DataError(f"{config.filename}: is not the config of a model; see configs/landdiscover")
    if model.get("vocabulary") is None:
        if vocabulary is not None or template is not None or mode is not None:
            raise ConfigError(f"--vocabulary, --template and --mode require an open-vocabulary model, such as those of "
                             f"configs/landdiscover; {model.type} has fixed classes")  # fmt: skip
        return None
    own = model.vocabulary
    requested = own if vocabulary is None else vocabulary
    source = "the config" if vocabulary is None else "the request"
    table = read_vocabulary(requested) if isinstance(requested, str) else word_table(requested, source)
    prompts = table.prompts or ((),) * table.num_classes
    # all of a class's texts: a model that reads one takes the first
    model.vocabulary = [", ".join(own) or name for own, name in zip(prompts, table.texts, strict=True)]
    if template is not None:
        model.template = template
    tested = model.get("test_cfg") or {}
    mode = tested.get("mode", "slide") if mode == "config" else mode or "slide"
    kept = {key: value for key, value in tested.items() if key not in ("mode", "stride")}
    if not isinstance(kept.get("crop_size"), int):  # two numbers: windows that the model would make itself
        kept.pop("crop_size", None)
    model.test_cfg = {**kept, "mode": "whole" if mode == "slide" else mode}
    return VocabularyRequest(table, requested if isinstance(requested, str) and _is_table(requested) else table, mode)


def mapping_window(model: Any, mode: str) -> tuple[int, int]:
    """(height, width) of an open-vocabulary model's windows.

    Args:
        model: The model.
        mode: See :func:`apply_vocabulary`; where it is not ``slide``, a window is the raster, up to 4096 pixels.
    """
    side = (
        model.test_cfg.get("crop_size", model.window) if mode == "slide" else _LARGEST
    )  # RemoteCLIP enlarges its views
    return side, side
