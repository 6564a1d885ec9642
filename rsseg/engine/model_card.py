"""Model cards: what a shared model is, for people and, in its head, for the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rsseg.errors import ConfigError
from rsseg.io.hub import hub_library
from rsseg.io.tables import markdown_table
from rsseg.metainfo.datasets import table_of

__all__ = ["Description", "card_text"]


@dataclass(frozen=True)
class Description:
    """What the owner of a model says about it.

    Attributes:
        license: Its licence, as the hub names it: ``apache-2.0``, ``cc-by-4.0``, ``other`` ...
        license_name: Of a licence that is ``other``.
        license_link: Where it is to be read.
        scores: Of a test, by name.
    """

    license: str
    license_name: str | None = None
    license_link: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.license == "other" and not (self.license_name and self.license_link):
            raise ConfigError("--license other needs --license-name and --license-link, where it is to be read")


def card_text(
    name: str, settings: Mapping[str, Any], meta: Mapping[str, Any], about: Description, validated: Mapping[str, float]
) -> str:
    """The README.md of a repository.

    Args:
        name: Owner and name on the hub.
        settings: The model's config.
        meta: What its checkpoint says: classes and pixels.
        about: What its owner says.
        validated: Scores of the last validation of its training.
    """
    model, classes, pixels = settings.get("model") or {}, _classes(meta), meta.get("pixels") or {}
    sets = sorted(set(_sets((settings.get("train_dataloader") or {}).get("dataset") or {})))
    backbone = (model.get("backbone") or {}).get("type")
    kind = " with ".join(str(part).rpartition(".")[2] for part in (model.get("type", "a model"), backbone) if part)
    facts = {
        "Model": kind,
        "Bands": _listed(pixels.get("bands")) or "red, green, blue",
        "Values": "8 bits" if pixels.get("value_range") is None else _listed(pixels["value_range"]),
        "Mean": _listed(pixels.get("mean")) or "unknown",
        "Standard deviation": _listed(pixels.get("std")) or "unknown",
        "Trained on": ", ".join(sets) or "unknown",
        "Iterations": meta.get("iter") or "unknown",
        "Licence": about.license_name or about.license,
    }
    lines = [f"# {name}", "", f"A segmentation model of rsseg: {kind}.", "", *_use(name), "## What it is", ""]
    lines += [markdown_table(["", ""], [[key, str(value)] for key, value in facts.items()]), "", "## Classes", ""]
    lines += [f"{f'{key}: ' if key else ''}{', '.join(names)}" for key, names in classes.items()] or ["unknown"]
    for title, scores in (("Scores of its test", about.scores), ("Last validation of its training", validated)):
        if scores:
            rows = [[key, f"{value:.2f}"] for key, value in scores.items()]
            lines += ["", f"## {title}", "", markdown_table(["", "%"], rows)]
    return f"---\n{_head(name, classes, pixels, sets, about).strip()}\n---\n\n" + "\n".join(lines) + "\n"


def _use(name: str) -> list[str]:
    return ["```", f"rsseg segment IMAGE.tif --checkpoint hf://{name}", "```", "", "```python", "import rsseg", "",
            f'labels = rsseg.load_model("hf://{name}").predict("IMAGE.tif")', "```", ""]  # fmt: skip


def _head(name: str, classes: Mapping[str, list[str]], pixels: Mapping[str, Any], sets: list[str], about: Any) -> str:
    hub = hub_library()
    results = [
        hub.EvalResult(task_type="image-segmentation", dataset_type="test", dataset_name=", ".join(sets) or "unknown",
                       metric_type=key, metric_value=value)
        for key, value in about.scores.items()
    ]  # fmt: skip
    data = hub.ModelCardData(
        license=about.license, license_name=about.license_name, license_link=about.license_link, library_name="rsseg",
        pipeline_tag="image-segmentation", tags=["remote-sensing", "semantic-segmentation"],
        model_name=name.rpartition("/")[2], eval_results=results or None, training_sets=sets,
        classes=classes.get("") or dict(classes), bands=pixels.get("bands"), value_range=pixels.get("value_range"),
        mean=pixels.get("mean"), std=pixels.get("std"),
    )  # fmt: skip
    return str(data.to_yaml())


def _classes(meta: Mapping[str, Any]) -> dict[str, list[str]]:
    info = meta.get("dataset_meta") or {}
    sets = info.get("sets") or {"": info}
    return {name: [str(word) for word in own["classes"]] for name, own in sets.items() if own.get("classes")}


def _sets(dataset: Any) -> Iterator[str]:
    """Class tables, or else classes, of the data sets that a config joins."""
    inner = dataset.get("datasets") or [part for part in (dataset.get("dataset"), dataset.get("source")) if part]
    if inner:
        for part in inner:
            yield from _sets(part)
    elif dataset:
        yield table_of(dataset) or str(dataset.get("type")).rpartition(".")[2]


def _listed(value: Any) -> str:
    return (
        ", ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in value)
        if isinstance(value, list)
        else str(value or "")
    )
