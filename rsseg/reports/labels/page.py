"""The HTML page of a report: one file that needs no server and no network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from rsseg.metainfo import ClassTable
from rsseg.reports.labels.cards import FLAGS, Card
from rsseg.reports.labels.gallery import KINDS
from rsseg.reports.labels.statistics import MASK_BOX_RATIO_EDGES, SIZE_EDGES, Statistics, median
from rsseg.reports.markup import about_list, colour_code, number, page, percent, problem_list, totals

__all__ = ["render_page"]

_CHARTS = {
    "sizes": "Mask sizes in pixels",
    "score": "Scores",
    "fills": "Mask area / box area",
    "unlabelled": "Unlabelled share of a tile (all classes)",
}
_SORTS = {"": "as chosen", "low": "lowest score first", "high": "highest score first", "small": "smallest first"}


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
    name = escape(table.name)
    sections = [
        f"<header><h1>{name} labels</h1>{about_list(about)}</header>",
        f'<section aria-label="Totals" class="totals">{_totals(statistics)}</section>',
        f"<section><h2>Classes</h2>{_class_table(statistics, table)}</section>",
        _charts(),
        _gallery(statistics, table, cards, score_text),
        problem_list(problems),
    ]
    return page(f"{table.name} labels", sections, _data(statistics, table), ["page.css"], ["page.js"])


def _data(statistics: Statistics, table: ClassTable) -> str:
    """The counts that the charts are drawn from."""
    s = statistics
    ious, stable = bool(s.ious.sum()), bool(s.stability.sum())
    scores = s.ious if ious else s.stability
    value = {
        "classes": list(table.classes),
        "sizes": s.sizes.tolist(),
        "score": scores.tolist() if ious or stable else None,
        "score_name": "Predicted IoU" if ious else "Stability score",
        "fills": s.mask_box_ratios.tolist() if s.mask_box_ratios.sum() else None,
        "unlabelled": s.unlabelled.tolist(),
    }
    return json.dumps(value, separators=(",", ":"))


def _totals(statistics: Statistics) -> str:
    s = statistics
    shared, mixed = s.overlap_shares
    used = int(np.count_nonzero(s.instances))
    rows = [
        ("tiles", number(s.tiles[0]), f"{number(s.tiles[1])} without objects"),
        ("instances", number(s.instances.sum()), f"{used} of {len(s.classes)} classes"),
        ("empty masks", number(s.empty.sum()), percent(s.empty_share) + " of the objects"),
        ("labelled pixels", percent(1 - s.unlabelled_share), f"{percent(s.unlabelled_share)} unlabelled"),
        ("overlap", percent(shared), f"of masked pixels under two or more; two classes: {percent(mixed)}"),
        ("below 100 px", number(s.tiny.sum()), f"touching the border: {number(s.border.sum())}"),
    ]
    return totals(rows)


def _class_table(statistics: Statistics, table: ClassTable) -> str:
    s = statistics
    columns = ["class", "label pixels", "instances", "empty", "small", "medium", "large", "median area", "mask / box"]
    head = "".join(f'<th scope="col"><button type="button">{name}</button></th>' for name in columns)
    most = [max(int(values.max()), 1) for values in (s.label_pixels[:-1], s.instances)]
    body = []
    for i, name in enumerate(table.classes):
        colour = colour_code(table.palette[i])
        area, fill = median(s.sizes[i], SIZE_EDGES), median(s.mask_box_ratios[i], MASK_BOX_RATIO_EDGES)
        cells = [
            f'<th scope="row" data-v="{escape(name)}"><a href="#gallery" data-pick="{i}">'
            f'<i class="dot" style="--c:{colour}"></i>{escape(name)}</a></th>',
            *(
                f'<td data-v="{value}" class="bar" style="--c:{colour};--w:{100 * value / top:.2f}%">'
                f"<span>{number(value)}</span></td>"
                for value, top in zip((int(s.label_pixels[i]), int(s.instances[i])), most, strict=True)
            ),
            *(_cell(int(value), number(value)) for value in (s.empty[i], *s.buckets[i])),
            _cell(area, "" if area is None else number(area)),
            _cell(fill, "" if fill is None else f"{fill:.2f}"),
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Counts per class">'
        f'<table id="classes"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'
    )


def _cell(value: float | None, text: str) -> str:
    return f'<td data-v="{-1 if value is None else value}">{text or "–"}</td>'


def _charts() -> str:
    charts = "".join(
        f'<figure class="chart" id="chart-{key}"><figcaption>{title}</figcaption></figure>'
        for key, title in _CHARTS.items()
    )
    return (
        '<section><h2>Distributions <span id="of" class="note"></span></h2>'
        "<noscript><p>The charts and filters need JavaScript.</p></noscript>"
        f'<div class="charts">{charts}</div></section>'
    )


def _gallery(statistics: Statistics, table: ClassTable, cards: Sequence[Card], score_text: str | None) -> str:
    if not cards:
        return ""
    present = [i for i in range(len(table.classes)) if statistics.instances[i] or statistics.empty[i]]
    chips = "".join(
        f'<button type="button" class="chip" data-class="{i}" aria-pressed="false">'
        f'<i class="dot" style="--c:{colour_code(table.palette[i])}"></i>{escape(table.classes[i])}</button>'
        for i in present
    )
    kinds = "".join(
        f'<button type="button" class="chip" data-kind="{kind}" aria-pressed="false">{kind}</button>' for kind in KINDS
    )
    flags = "".join(f'<option value="{key}">{escape(text)}</option>' for key, text in FLAGS.items())
    sorts = "".join(f'<option value="{key}">{text}</option>' for key, text in _SORTS.items())
    scored = [card.choice.score for card in cards if card.choice.score is not None]
    low, high = (np.floor(min(scored) * 100) / 100, np.ceil(max(scored) * 100) / 100) if scored else (0.0, 1.0)
    sliders = "".join(
        f'<label>{text} <input type="range" id="{key}" min="{low:.2f}" max="{high:.2f}" step="0.01" '
        f'value="{value:.2f}"><output for="{key}">{value:.2f}</output></label>'
        for key, text, value in (("min", "score from", low), ("max", "to", high))
        if scored
    )
    note = f"Score: {escape(score_text)}." if score_text else "These masks have no score."
    body = "".join(_card(i, card, table) for i, card in enumerate(cards))
    return (
        '<section id="gallery"><h2>Gallery</h2>'
        f'<p class="note">Per class the best, the middle and the most suspicious masks, and some empty ones. {note} '
        "Solid line: mask; dashed line: prompt and rotated box.</p>"
        f'<div class="chips" role="group" aria-label="Classes">{chips}</div>'
        f'<form class="tools" id="tools"><span role="group" aria-label="Kinds" class="kinds">{kinds}</span>{sliders}'
        f'<label>flag <select id="flag"><option value="">any</option>{flags}</select></label>'
        f'<label>order <select id="sort">{sorts}</select></label>'
        '<label><input type="checkbox" id="lines" checked> outlines</label>'
        '<button type="reset" id="reset">reset</button>'
        '<span id="count" role="status" aria-live="polite"></span></form>'
        f'<div id="cards">{body}</div></section>'
    )


def _card(position: int, card: Card, table: ClassTable) -> str:
    choice, instance = card.choice, card.choice.instance
    name, colour, tile = table.classes[instance.label], colour_code(table.palette[instance.label]), choice.tile.name
    height, width = card.size
    score = "" if choice.score is None else f"{choice.score:.3f}"
    text = f"{choice.kind} {name} in {tile}" + (f", score {score}" if score else "")
    image = f'<img src="{card.picture}" width="{width}" height="{height}" alt="{escape(text)}">' if card.picture else ""
    shape = f'<path id="m{position}" class="mask" d="{card.outline}"/>' if card.outline else ""
    lines = f'<path class="box" d="{card.boxes}"/>' if card.boxes else ""
    where = tile if instance.source_object_id is None else f"{tile} · {instance.source_object_id}"
    amount = f"{number(instance.area)} px"
    if instance.mask_to_box is not None:
        amount += f", {percent(instance.mask_to_box)} of its box"
    marks = "".join(f'<span class="flag">{escape(FLAGS[flag])}</span>' for flag in card.flags)
    return (
        f'<figure class="card" data-class="{instance.label}" data-kind="{choice.kind}" data-score="{score}" '
        f'data-area="{instance.area}" data-flags="{" ".join(card.flags)}">'
        f'<div class="picture{"" if image else " none"}" style="--c:{colour}">{image}'
        f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{shape}{lines}</svg></div>'
        f'<figcaption><span class="line"><b>{escape(name)}</b><span class="score">{score}</span></span>'
        f'<span class="where" title="tile and object: {escape(where)}">{escape(where)}</span>'
        f'<span class="where">{amount}</span>'
        f'<span class="flags"><span class="kind {choice.kind}">{choice.kind}</span>{marks}</span>'
        "</figcaption></figure>\n"
    )
