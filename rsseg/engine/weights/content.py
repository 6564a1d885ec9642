"""What a file with weights holds: a backbone, perhaps a decoder and heads, and what belongs to neither."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from rsseg.engine.weights.layouts import State, explain
from rsseg.io.checkpoints import read_state

__all__ = ["Parts", "read_weights", "split_parts"]

_OUR_REST = {
    r"decode_head\.|heads\.|auxiliary_head\.": "decoder and heads",
    r"head\.": "classifier or head of pre-training",
    r"neck\.": "neck of pre-training",
    r"data_preprocessor\.": "normalisation of images",
    r"target_generator\.": "targets of pre-training",
    r"teacher\.head\.": "classifier or head of pre-training",
    r"student\.": "student of self-distillation",
    r"centre$": "centre of self-distillation",
}
_RELEASE_REST = {
    r"decoder\.|semseghead(_\d+)?\.": "decoder and heads",
    r"encoder_to_decoder\.|mask_token$|decoder_": "decoder of masked autoencoding",
}
_WHOLE = r"decoders\.Decoders_\d+\.|cells\.\d+-\d+\.|sem_seg_head\."
"""Keys of whole models of others, whose backbone is not converted by itself: SparseMask, FasterSeg, detectron2's."""


@dataclass
class Parts:
    """A file's weights, cut where they have a name in front.

    Args:
        prefix: What stood before the backbone's keys: ``"backbone."``, ``"encoder."`` or nothing.
        backbone: The backbone's weights, without the prefix.
        decoder: The decoder's, without ``decoder.``; only of SAMRS files.
        heads: The classifiers', by their full names; only of SAMRS files.
        skipped: Other keys that no segmentation model needs, by reason.
        unexpected: Keys with neither place nor reason.
    """

    prefix: str
    backbone: State
    decoder: State = field(default_factory=dict)
    heads: State = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)


def read_weights(path: str | os.PathLike[str], trust: bool = False) -> State:
    """Weights of a file by name, without ``module.`` of parallel training.

    Args:
        path: A file of ``torch.save`` or safetensors: names to tensors, or that under one of the usual keys; or one of
            ``numpy.savez`` with an array for each name.
        trust: See :func:`rsseg.io.checkpoints.load_file`.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is damaged, would run code to load, or holds no weights by name.
    """
    parts = r"^((?:encoder|decoder|semseghead(?:_\d+)?)\.)module\."
    return {re.sub(parts, r"\1", key): value for key, value in read_state(path, trust).items()}


def split_parts(state: State) -> Parts:
    """Cut a file's weights into backbone, decoder, heads and the rest.

    Args:
        state: Weights by name.  ``encoder.`` is the SAMRS release's and some masked autoencoders' prefix, ``backbone.``
            that of mmseg and mmpretrain; without either, all is the backbone's.
    """
    distilled = "teacher.backbone."
    has_encoder = any(re.match(r"encoder\.(?!layers\.encoder_layer_|pos_embedding$|ln\.)", key) for key in state)
    prefixes = ["encoder."] if has_encoder else [distilled, "backbone."]
    if any(re.match(_WHOLE, key) for key in state):
        prefixes = []
    prefix = next((p for p in prefixes if any(key.startswith(p) for key in state)), "")
    parts = Parts(prefix, {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)})
    for key in (key for key in state if not key.startswith(prefix)):
        reason = explain(key, _RELEASE_REST if prefix == "encoder." else _OUR_REST)
        if reason == "decoder and heads" and prefix == "encoder.":
            part = parts.decoder if key.startswith("decoder.") else parts.heads
            part[key.removeprefix("decoder.")] = state[key]
        elif reason:
            parts.skipped.setdefault(reason, []).append(key)
        else:
            parts.unexpected.append(key)
    return parts
