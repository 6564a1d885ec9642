"""What a conversion did, as text."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rsseg.conversion.source_image import WITHOUT_MASK
from rsseg.datasets.detection.values import UNKNOWN_CLASS
from rsseg.io.tables import aligned
from rsseg.messages import few
from rsseg.structures.keys import some_names

__all__ = ["failure_text", "nothing_text", "problem_text", "review_text", "summary"]


def summary(manifest: dict[str, Any], out: str, seconds_per_image: float | None) -> str:
    """What a finished conversion holds, as an aligned text table."""
    counts = manifest["counts"]
    rows = [(name.replace("_", " "), str(value)) for name, value in counts.items()]
    rows += [(f"  {name}", str(value)) for name, value in manifest["instances_per_class"].items() if value]
    rows += [(f"reviewed: {name}", str(value)) for name, value in manifest.get("review", {}).get("counts", {}).items()]
    if seconds_per_image is not None:
        rows.append(("seconds per image", f"{seconds_per_image:.3f}"))
    return f"{aligned(rows)}\nwritten to {out}: instances.json, tiles.csv, manifest.json, gray/"


def problem_text(manifest: dict[str, Any], path: Path) -> str:
    """How many problems were skipped; unknown classes by name, since each may have thousands of objects.

    Args:
        manifest: The manifest.
        path: Its file.
    """
    rows = manifest["problems"]
    text = f"{len(rows)} problems were skipped; see 'problems' in {path}"
    unknown = Counter(row["value"] for row in rows if UNKNOWN_CLASS in row["reason"])
    if unknown:
        named = some_names([f"{name!r} ({count} objects)" for name, count in unknown.most_common()], 10)
        text += (
            f"\nThe class table {manifest['label_set']} has no class {named}. To leave such objects out on purpose: "
            f"source.omit={json.dumps(sorted(unknown)[:10])}"
        )
    return text


def review_text(manifest: dict[str, Any]) -> str | None:
    """Which decisions of reviewers were not applied; None where all were."""
    review = manifest["review"]
    heads = {
        "conflicts": "objects stay as they are, since reviewers disagree or their decision cannot be applied:",
        "stale": "decisions are not applied, since no object looks as it did when they were made:",
    }
    texts = []
    for name, head in heads.items():
        rows = [f"{row['tile']}, object {row['source_object_id']}: {_decision(row)}" for row in review[name]]
        if rows:
            texts.append(few(f"{len(rows)} {head}", rows, f"manifest.json under review.{name}", 5))
    return "\n".join(texts) or None


def _decision(row: dict[str, Any]) -> str:
    return str(row.get("reason") or f"{row['action']} ({', '.join(row['reviewers'])})")


def nothing_text(manifest: dict[str, Any]) -> str | None:
    """Why a set is empty and what to do, where no object of it got a mask; None where one did."""
    counts = manifest["counts"]
    if counts["instances"] or not manifest["problems"]:
        return None
    bare = sum(row["reason"] == WITHOUT_MASK for row in manifest["problems"])
    if bare:
        return (
            f"none of the objects has a ground-truth mask ({bare} objects), so the set is empty; check 'truth' of the "
            "config and the labels, or choose another --predictor"
        )
    return "no object could be converted, so the set is empty; manifest.json says why under 'problems'"


def failure_text(failures: list[str]) -> str:
    """What could not be converted and what to do, for the end of a run.

    Args:
        failures: ``file: reason`` of each image.
    """
    head = f"{len(failures)} image(s) could not be converted, everything else is finished:"
    return (
        f"{few(head, failures, 'manifest.json')}\n"
        "Replace or remove these files and run the same command again; it converts what is missing. "
        "manifest.json lists all of them under 'failed_images', with reasons under 'problems'."
    )
