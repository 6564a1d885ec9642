"""Exported models: what their files say about themselves, and their scores by ONNX Runtime or OpenVINO."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from rsseg.datasets import MultibandPreprocessor
from rsseg.errors import ConfigError, DataError, UserError
from rsseg.mapping.runtimes import RUNTIMES, Run
from rsseg.metainfo import ClassTable, load_metainfo

__all__ = ["KEY", "ExportedModel", "describe_table", "known_name", "load_exported", "read_table"]

KEY = "rsseg"
"""Key of an ONNX file's metadata, and of an OpenVINO file's information, whose value is a JSON document."""
_FORMAT = 1
_KNOWN = {"format": int, "classes": dict, "bands": int, "scale": float, "probabilities": bool, "pixels": dict,
          "window": list, "views": list}  # fmt: skip


def describe_table(table: ClassTable) -> dict[str, Any]:
    """A class table as a document of the form that its files have."""
    rows = []
    for i, (name, color, raw) in enumerate(zip(table.classes, table.palette, table.raw_values, strict=True)):
        row = {"id": i, "name": name, "color": "#{:02X}{:02X}{:02X}".format(*color), "raw": list(raw)}
        if table.to and table.to[i]:
            row["to"] = table.to[i]
        rows.append({**row, "scored": i not in table.unscored})
    about = {"name": table.name, "source": table.source, "categories": rows}
    return {**about, "ignore": list(table.ignore), "label_offset": table.label_offset}


def read_table(document: Mapping[str, Any], path: Path) -> ClassTable:
    """The class table of an exported model.

    Raises:
        DataError: It is none.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "classes.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        try:
            return load_metainfo(str(file))
        except UserError as error:
            raise DataError(f"{path}: {str(error).replace(str(file), 'its class table')}") from error


def known_name(about: Mapping[str, Any], table: ClassTable) -> str | ClassTable:
    """The name of an exported model's class table, where a table of that name has the same classes; else the table."""
    name = about.get("table")
    try:
        same = isinstance(name, str) and load_metainfo(name).rows == table.rows
    except UserError:  # there is none here
        same = False
    return str(name) if same else table


class ExportedModel(nn.Module):
    """A file of ``rsseg export-model`` in the place of mmseg's segmentor, as ``SegmentorScorer`` uses it.

    Args:
        run: The runtime.
        about: What the file says about itself.

    Attributes:
        about: The same.
        probabilities: Scores are probabilities.
        size: (H, W) of the only images that the file takes; None where it takes any.
    """

    def __init__(self, run: Run, about: Mapping[str, Any]) -> None:
        super().__init__()
        self.run, self.about = run, about
        self.probabilities = bool(about["probabilities"])
        size = about.get("size")
        self.size = None if size is None else (int(size[0]), int(size[1]))
        bands = int(about["bands"])
        self.data_preprocessor = MultibandPreprocessor([0.0] * bands, [float(about["scale"])] * bands)
        self.place = nn.Parameter(torch.zeros(()), requires_grad=False)  # says the device, which is the CPU

    def inference(self, inputs: torch.Tensor, metas: list[dict]) -> torch.Tensor:
        """Scores (N, classes, H, W) of images (N, bands, H, W) in the file's unit; ``metas`` is not used.

        Raises:
            ConfigError: The images are larger than the file takes.
        """
        if self.size is None:
            return torch.from_numpy(self.run(inputs.numpy()))
        height, width = inputs.shape[2:]
        more = self.size[0] - height, self.size[1] - width
        if min(more) < 0:
            raise ConfigError(f"the exported model takes images of {self.size[0]} x {self.size[1]} pixels only; "
                              "remove --window")  # fmt: skip
        images = functional.pad(inputs, (0, more[1], 0, more[0]), mode="replicate")
        scores = [self.run(image[None].contiguous().numpy()) for image in images]
        return torch.cat([torch.from_numpy(own) for own in scores])[:, :, :height, :width]


def load_exported(
    path: str, runtime: Literal["onnxruntime", "openvino"] | None = None, bf16: bool = False
) -> tuple[ExportedModel, dict[str, Any]]:
    """The model in a file of ``rsseg export-model``, and what it says about itself.

    Args:
        path: A ``.onnx`` file, or the ``.xml`` of OpenVINO's two.
        runtime: What runs it; by default ONNX Runtime, OpenVINO for its own files.
        bf16: Compute in bfloat16, which only OpenVINO can; otherwise in float32.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: The runtime cannot do that.
        DataError: The file is damaged, or was not written by ``rsseg export-model``.
        MissingPackageError: The runtime is not installed.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"{file}: there is no such file; rsseg export-model writes models")
    own = {".onnx": "onnxruntime", ".xml": "openvino"}.get(file.suffix.lower())
    if own is None:
        raise ConfigError(f"{file}: expected an exported model, a .onnx or .xml file; a checkpoint needs --config and "
                          "--checkpoint")  # fmt: skip
    chosen = runtime or own
    if own == "openvino" and chosen != own:
        raise ConfigError(f"{file}: only OpenVINO reads its .xml files; remove --runtime {chosen}")
    if bf16 and chosen != "openvino":
        raise ConfigError("ONNX Runtime does not compute in bfloat16; add --runtime openvino, or remove --bf16")
    run, text = RUNTIMES[chosen](file, KEY, bf16)
    about = _read(text, file)
    return ExportedModel(run, about), about


def _read(text: str | None, path: Path) -> dict[str, Any]:
    """What a file says about itself, with the kind of every value checked."""
    try:
        about = json.loads(text or "null")
    except json.JSONDecodeError:
        about = None
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise DataError(f"{path}: has no description of form {_FORMAT} under the key {KEY!r}, so that its bands "
                        "and classes are not known; write it by: rsseg export-model")  # fmt: skip
    for key, kind in _KNOWN.items():
        if not isinstance(about.get(key), kind):
            raise DataError(f"{path}: {KEY}.{key} must be a {kind.__name__}, got {about.get(key)!r}; export it again")
    return about
