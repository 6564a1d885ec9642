"""ViTAEv2-S: the release's names are ours; files of classifiers lack what has no effect."""

from __future__ import annotations

from rsseg.engine.weights.layouts import Layout, State, Target

__all__ = ["LAYOUTS", "TARGETS"]


def _settings(state: State) -> dict[str, int]:
    return dict(in_channels=state["layers.0.RC.PRM.convs.0.0.weight"].shape[1])


LAYOUTS = [
    Layout("ViTAEv2", r"layers\.0\.RC\.PRM\.convs\.0\.0\.weight", ("vitae",), unused={r"head\.": "classifier"}),
]
TARGETS = {
    "vitae": Target(
        "ViTAEv2",
        _settings,
        fresh={
            r"norm[0-3]\.": "norms without effect",
            r".*\.relative_position_(bias_table|index)$": "positions without effect",
            r".*\.num_batches_tracked$": "counters of batches",
        },
    )
}
