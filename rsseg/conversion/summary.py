"""What a conversion did, as text."""

from __future__ import annotations

from typing import Any

from rsseg.io.tables import aligned

__all__ = ["failure_text", "summary"]

_NAMED = 20


def summary(manifest: dict[str, Any], out: str, seconds_per_image: float | None) -> str:
    """What a finished conversion holds, as an aligned text table."""
    counts = manifest["counts"]
    rows = [(name.replace("_", " "), str(value)) for name, value in counts.items()]
    rows += [(f"  {name}", str(value)) for name, value in manifest["instances_per_class"].items() if value]
    if seconds_per_image is not None:
        rows.append(("seconds per image", f"{seconds_per_image:.3f}"))
    return f"{aligned(rows)}\nwritten to {out}: instances.json, tiles.csv, manifest.json, gray/"


def failure_text(failures: list[str]) -> str:
    """What could not be converted and what to do, for the end of a run.

    Args:
        failures: ``file: reason`` of each image.
    """
    named = "\n".join(f"  {line}" for line in failures[:_NAMED])
    more = f"\n  and {len(failures) - _NAMED} more" if len(failures) > _NAMED else ""
    return (
        f"{len(failures)} image(s) could not be converted, everything else is finished:\n{named}{more}\n"
        "Replace or remove these files and run the same command again; it converts what is missing. "
        "manifest.json lists all of them under 'failed_images', with reasons under 'problems'."
    )
