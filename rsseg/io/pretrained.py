"""Models of transformers from a folder or the hub: every weight accounted for, nothing in the files is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsseg.errors import DataError, MissingPackageError
from rsseg.io.files import sha256_of
from rsseg.io.hub_folder import weight_files
from rsseg.io.tables import read_json
from rsseg.structures.keys import some_names

__all__ = ["describe_folder", "load_pretrained", "load_processor", "model_type", "transformers_library"]

_SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json")
_TEXT = ("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "vocab.json", "merges.txt")


def transformers_library(who: str) -> Any:
    """The package ``transformers``.

    Args:
        who: What needs it, for the message.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingPackageError(
            f'{who} needs transformers, which takes Python 3.11 or newer: python -m pip install "rsseg[hf]" ({error})'
        ) from error
    return transformers


def model_type(folder: Path) -> str:
    """What ``config.json`` of a folder says the model is, such as ``sam2``.

    Raises:
        DataError: It does not say.
    """
    found = read_json(folder / "config.json")
    if not isinstance(found, dict) or not isinstance(found.get("model_type"), str):
        raise DataError(f"{folder / 'config.json'}: has no model_type; expected the config of a model of transformers")
    return str(found["model_type"])


def describe_folder(folder: Path, reads_text: bool = False) -> dict[str, Any]:
    """Names and SHA-256 of the files that decide what a model computes, for manifests.

    Args:
        folder: As :func:`rsseg.io.hub_folder.model_folder` gives it.
        reads_text: Whether the model is asked with words, so that the tokenizer's files count as well.
    """
    settings = [folder / name for name in (*_SETTINGS, *(_TEXT if reads_text else ()))]
    files = [*weight_files(folder), *(path for path in settings if path.is_file())]
    return {path.name: sha256_of(path) for path in files}


def load_pretrained(kind: str, folder: Path, who: str) -> Any:
    """A model of transformers in evaluation mode, in float32 on the CPU.

    Args:
        kind: Name of its class.
        folder: As :func:`rsseg.io.hub_folder.model_folder` gives it.
        who: What needs it, for messages.

    Raises:
        MissingPackageError: transformers is not installed.
        DataError: The weights are not those of the model; the message names some.
    """
    library = transformers_library(who)
    import torch
    from safetensors import SafetensorError

    options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
    with _quiet(library):
        try:
            model, found = getattr(library, kind).from_pretrained(folder, output_loading_info=True, **options)
        except SafetensorError as error:
            raise DataError(f"{folder}: its weights are damaged or cut short ({error}); download them again") from error
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise DataError(
                f"{folder}: is no {kind} that transformers {library.__version__} reads ({error})"
            ) from error
    for name in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found.get(name):
            named = some_names([str(key) for key in sorted(found[name], key=str)], 3)
            raise DataError(f"{folder}: its weights do not fit {kind}; {name.replace('_', ' ')}: {named}")
    return model.eval()


def load_processor(kind: str, folder: Path, who: str) -> Any:
    """The processor (pixels, prompts, texts) that belongs to a model.

    Raises:
        MissingPackageError: transformers is not installed.
        DataError: The folder does not have its files.
    """
    library = transformers_library(who)
    with _quiet(library):
        try:
            return getattr(library, kind).from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"{folder}: has no settings of a {kind} (preprocessor_config.json or processor_config.json, and the "
                f"tokenizer's files where texts are read); save them beside the model with save_pretrained ({error})"
            ) from error


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Without the bars and the table of keys that loading prints; what they say is checked."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
