"""The HTML page of a report: one file that needs no server and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rsseg.datasets.labels.selection import KINDS, SCORES
from rsseg.datasets.labels.statistics import MASK_BOX_RATIO_EDGES, SIZE_EDGES, Statistics, median
from rsseg.metainfo import ClassTable
from rsseg.reports.labels.cards import FLAGS, Card
from rsseg.reports.markup import colour_code, number, percent, render

__all__ = ["render_page"]

_COLUMNS = (
    "class", "label pixels", "instances", "empty", "small", "medium", "large", "median area", "mask / box",
)  # fmt: skip
_CHARTS = {
    "sizes": "Mask sizes in pixels",
    "score": "Scores of the masks",
    "mask_box_ratios": "Mask area / box area",
    "unlabelled": "Unlabelled share per tile",
}
_SORTS = {
    "": "by class and kind",
    "low": "lowest score first",
    "high": "highest score first",
    "small": "smallest first",
}


def render_page(
    statistics: Statistics,
    table: ClassTable,
    cards: Sequence[Card],
    about: Mapping[str, str],
    score_text: str | None,
    problems: Sequence[str] = (),
) -> str:
    """The page as text.

    Args:
        statistics: What the set holds.
        table: Its classes.
        cards: The masks of the gallery.
        about: Where the labels come from: name -> text.
        score_text: What the scores are; ``None`` where the set has none.
        problems: Files that could not be used.
    """
    low, high = _score_range(cards)
    typical = score_text == SCORES["mask_to_box"]
    word = "typical size" if typical else "score"
    return render(
        "labels.html",
        name=table.name,
        about={key: text for key, text in about.items() if text},
        total_rows=_totals(statistics),
        columns=_COLUMNS,
        rows=_class_rows(statistics, table),
        charts=_CHARTS,
        cards=[_card(card, table, typical) for card in cards],
        score_text=score_text,
        score_range=(low, high),
        sliders=[("min", f"{word} from", low), ("max", "to", high)] if low is not None else [],
        kinds={kind: kind_name(kind, typical) for kind in KINDS},
        typical=typical,
        flags=FLAGS,
        sorts=_SORTS,
        problems=problems,
        data=_data(statistics, table),
    )


def kind_name(kind: str, typical: bool) -> str:
    """What a kind of mask is called; without a score of the mask model, none is called good or suspicious."""
    return {"best": "typical", "suspicious": "unusual"}.get(kind, kind) if typical else kind


def _data(statistics: Statistics, table: ClassTable) -> dict[str, Any]:
    """The counts that the charts are drawn from."""
    s = statistics
    ious, stable = bool(s.ious.sum()), bool(s.stability.sum())
    scores = s.ious if ious else s.stability
    return {
        "classes": list(table.classes),
        "sizes": s.sizes.tolist(),
        "score": scores.tolist() if ious or stable else None,
        "score_name": "Predicted IoU" if ious else "Stability score",
        "mask_box_ratios": s.mask_box_ratios.tolist() if s.mask_box_ratios.sum() else None,
        "unlabelled": s.unlabelled.tolist(),
    }


def _totals(statistics: Statistics) -> list[tuple[str, str, str]]:
    s = statistics
    shared, mixed = s.overlap_shares
    used = int(np.count_nonzero(s.instances))
    return [
        ("tiles", number(s.tiles[0]), f"{number(s.tiles[1])} without objects"),
        ("instances", number(s.instances.sum()), f"{used} of {len(s.classes)} classes"),
        ("empty masks", number(s.empty.sum()), percent(s.empty_share) + " of the objects"),
        ("labelled pixels", percent(1 - s.unlabelled_share), f"{percent(s.unlabelled_share)} unlabelled"),
        ("overlap", percent(shared), f"of masked pixels in two or more masks; in two classes: {percent(mixed)}"),
        ("below 100 px", number(s.tiny.sum()), f"touching the border: {number(s.border.sum())}"),
    ]


def _class_rows(statistics: Statistics, table: ClassTable) -> list[dict[str, Any]]:
    s = statistics
    most = [max(int(values.max()), 1) for values in (s.label_pixels[:-1], s.instances)]
    rows = []
    for i, name in enumerate(table.classes):
        counts = (int(s.label_pixels[i]), int(s.instances[i]))
        area, fill = median(s.sizes[i], SIZE_EDGES), median(s.mask_box_ratios[i], MASK_BOX_RATIO_EDGES)
        cells: list[tuple[float | None, str]] = [(int(value), number(value)) for value in (s.empty[i], *s.buckets[i])]
        cells += [(area, "" if area is None else number(area)), (fill, "" if fill is None else f"{fill:.2f}")]
        rows.append({
            "index": i,
            "name": name,
            "colour": colour_code(table.palette[i]),
            "bars": [(value, 100 * value / top) for value, top in zip(counts, most, strict=True)],
            "cells": cells,
            "present": bool(s.instances[i] or s.empty[i]),
        })  # fmt: skip
    return rows


def _score_range(cards: Sequence[Card]) -> tuple[float, float] | tuple[None, None]:
    """Lowest and highest score, rounded outwards to two decimals; Nones where no card has a score."""
    scores = [card.choice.score for card in cards if card.choice.score is not None]
    if not scores:
        return None, None
    return float(np.floor(min(scores) * 100) / 100), float(np.ceil(max(scores) * 100) / 100)


def _card(card: Card, table: ClassTable, typical: bool) -> dict[str, Any]:
    choice, instance = card.choice, card.choice.instance
    name, tile = table.classes[instance.label], choice.tile.name
    score = "" if choice.score is None else f"{choice.score:.3f}"
    amount, word = f"{number(instance.area)} px", "typical size" if typical else "score"
    if instance.mask_to_box is not None:
        amount += f", {percent(instance.mask_to_box)} of its box"
    return {
        "label": instance.label,
        "kind": choice.kind,
        "kind_name": kind_name(choice.kind, typical),
        "score": score,
        "area": instance.area,
        "amount": amount,
        "flags": card.flags,
        "height": card.size[0],
        "width": card.size[1],
        "picture": card.picture,
        "alt": f"{kind_name(choice.kind, typical)} {name} in {tile}" + (f", {word} {score}" if score else ""),
        "outline": card.outline,
        "boxes": card.boxes,
        "source": tile if instance.source_object_id is None else f"{tile} · {instance.source_object_id}",
    }
