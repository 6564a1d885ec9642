"""Trained models on the Hugging Face hub: weights as safetensors, their config, a model card and checksums.

A repository of ``rsseg push`` has four files, or five: ``model.safetensors``, ``config.py`` (settings only, see
:mod:`rsseg.io.plain_config`), ``README.md``, ``SHA256SUMS``, and ``classes-N.json`` for class tables that are not
rsseg's.  Optimizer and schedule stay behind: a training is resumed from its ``.pth``.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

import rsseg
from rsseg.engine.adapters import without_adapters
from rsseg.engine.checkpoint import merged_weights
from rsseg.engine.model_card import Description, card_text
from rsseg.errors import DataError
from rsseg.io.checkpoints import load_file, state_of, write_weights
from rsseg.io.configs import read_config
from rsseg.io.files import replacing, sha256_of
from rsseg.io.hub import CONFIG, SUMS, WEIGHTS, HubAddress, explained, fetch, hub_library, local_file
from rsseg.io.pixel_settings import record_pixels
from rsseg.io.plain_config import parse_settings
from rsseg.io.sums import read_sums, write_sums
from rsseg.io.tables import read_json
from rsseg.metainfo import list_metainfo, load_metainfo
from rsseg.metainfo.datasets import table_of

__all__ = ["pull_model", "push_model", "read_scores", "write_model"]

_CARD = "README.md"
_OWN = ("work_dir", "load_from", "resume", "launcher", "filename", "experiment_name")
"""Settings of one run, which a model is shared without."""
_KEPT = ("dataset_meta", "pixels", "iter", "epoch", "seed", "layout", "source", "sha256", "model")
_LEFT = "adaptation."


def write_model(
    folder: Path, config: str, checkpoint: str, name: str, about: Description, trust: bool = False
) -> list[Path]:
    """Write the files of a repository.

    Args:
        folder: Where to; it is made.
        config: The model's config.
        checkpoint: Its weights.
        name: Owner and name on the hub, for the card.
        about: What the card says besides.
        trust: See :func:`rsseg.io.checkpoints.load_file`.

    Returns:
        The files, the checksums last.

    Raises:
        UserError: Config or checkpoint cannot be read, or hold what cannot be shared.
        OSError: A file cannot be read or written.
    """
    cfg, content = read_config(config, trust=trust), load_file(checkpoint, trust=trust)
    state = {key: value for key, value in state_of(content, checkpoint).items() if not key.startswith(_LEFT)}
    folder.mkdir(parents=True, exist_ok=True)
    settings = {key: value for key, value in cfg.to_dict().items() if key not in _OWN}
    if isinstance(content, dict) and (content.get("meta") or {}).get("adapters"):
        state, _ = merged_weights(cfg, checkpoint, trust)
        settings["model"] = without_adapters(settings["model"])
    written = _share_tables(settings, folder)
    meta = _meta_of(content, settings)
    write_weights(folder / WEIGHTS, state, meta)
    texts = {CONFIG: Config(settings).pretty_text, _CARD: card_text(name, settings, meta, about, _last_scores(content))}
    parse_settings(texts[CONFIG], config)  # as those who get it will
    for file, text in texts.items():
        with replacing(folder / file) as out:
            out.write(text.encode())
    files = [folder / WEIGHTS, *(folder / file for file in texts), *written]
    write_sums(folder / SUMS, files)
    return [*files, folder / SUMS]


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        yield from _nodes(value)


def _share_tables(settings: dict[str, Any], folder: Path) -> list[Path]:
    """Copy class tables that are files of the user's, and name the copies in the settings, in place."""
    found: dict[str, Path] = {}
    for node in _nodes(settings):
        for key in ("table", "vocabulary"):
            name = node.get(key)
            if isinstance(name, str) and name.endswith(".json") and name not in list_metainfo():
                target = found.setdefault(name, folder / f"classes-{len(found) + 1}.json")
                shutil.copyfile(name, target)
                node[key] = target.name
    return list(found.values())


def _meta_of(content: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says about itself, as JSON can hold it; classes and pixels from the config if need be."""
    meta = content.get("meta") if isinstance(content, dict) else None
    meta = {key: meta[key] for key in _KEPT if key in meta} if isinstance(meta, dict) else {}
    processor = (settings.get("model") or {}).get("data_preprocessor") or settings.get("data_preprocessor") or {}
    meta.setdefault("pixels", record_pixels(settings, processor.get("mean"), processor.get("std")))
    if "dataset_meta" not in meta:
        dataset = ((settings.get("train_dataloader") or settings.get("test_dataloader")) or {}).get("dataset") or {}
        table = table_of(dataset)
        if table in list_metainfo():
            meta["dataset_meta"] = {"classes": list(load_metainfo(table).classes)}
    return json.loads(json.dumps(meta, default=lambda value: getattr(value, "tolist", lambda: str(value))()))


def _last_scores(content: Any) -> dict[str, float]:
    """The last validation of the training, from the log that mmengine keeps in its checkpoints."""
    logs = (content.get("message_hub") or {}).get("log_scalars") if isinstance(content, dict) else None
    out = {}
    for name, history in (logs or {}).items():
        values = [value for part in list(getattr(history, "data", ()))[:1] for value in part]
        if str(name).startswith("val/") and values:
            out[str(name).removeprefix("val/")] = float(values[-1])
    return {name: value for name, value in out.items() if name not in ("time", "data_time")}


def read_scores(path: Path) -> dict[str, float]:
    """Scores in a JSON file, as ``rsseg test --json`` prints them; what is no number is left out.

    Raises:
        DataError: It is no JSON object, or holds no numbers.
        FileNotFoundError: There is no such file.
    """
    out = {
        str(key): float(value)
        for key, value in read_json(path).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    if not out:
        raise DataError(f"{path}: holds no scores; expected what 'rsseg test CONFIG CHECKPOINT --json' prints")
    return out


def push_model(folder: Path, files: list[Path], address: str, private: bool = False) -> str:
    """Upload the files of :func:`write_model`, and compare what the hub then has.

    Args:
        folder: Their folder.
        files: The files; others in the folder stay here.
        address: ``hf://OWNER/NAME``, with ``@BRANCH`` for another branch than ``main``; both are made.
        private: Make a new repository private.

    Returns:
        The address with the commit.

    Raises:
        DataError: The hub has other weights than were sent.
        OSError: The hub cannot be used.
    """
    where, hub = HubAddress.parse(address), hub_library()
    api = hub.HfApi(library_name="rsseg", library_version=rsseg.__version__)
    with explained(where):
        api.create_repo(where.repo, private=private, exist_ok=True)
        if where.revision != "main":
            api.create_branch(where.repo, branch=where.revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=where.repo, folder_path=str(folder), revision=where.revision, commit_message="Model of rsseg",
            allow_patterns=[file.name for file in files],
        )  # fmt: skip
        there = api.model_info(where.repo, revision=done.oid, files_metadata=True).siblings
    stored = {file.rfilename: (file.lfs or {}).get("sha256") for file in there or ()}
    for file in files:
        if file.name not in stored or stored[file.name] not in (None, sha256_of(file)):
            raise DataError(f"{where}: the hub has another {file.name} than {file}; push it again")
    return str(HubAddress(where.repo, done.oid))


def pull_model(address: str, out: Path | None = None) -> list[Path]:
    """Download a model, check it, and copy it where it is wanted.

    Args:
        address: ``hf://OWNER/NAME[@REVISION]``; a repository without checksums gives the file that is named, or
            its ``model.safetensors``.
        out: A folder for copies; None leaves the files in the hub's cache.

    Returns:
        The files.

    Raises:
        DataError: A file is not what its checksum says.
        OSError: It cannot be downloaded or written.
    """
    where = HubAddress.parse(address)
    files = {where.file or WEIGHTS: local_file(address)}
    try:
        sums = fetch(HubAddress(where.repo, where.revision, SUMS))
    except FileNotFoundError:
        sums = None
    if sums is not None and not where.file:
        names = [*read_sums(sums), SUMS]
        files |= {name: fetch(HubAddress(where.repo, where.revision, name)) for name in names if name not in files}
    if out is None:
        return list(files.values())
    made = []
    for name, file in files.items():
        HubAddress.parse(f"hf://{where.repo}/{name}")  # no name that leads out of the folder
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as source, replacing(target, "download") as copied:
            shutil.copyfileobj(source, copied)
        made.append(target)
    return made
