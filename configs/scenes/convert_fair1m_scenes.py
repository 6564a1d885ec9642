"""Procedural scenes with FAIR1M's rotated boxes to masks, cut into tiles; the exact masks are truth.

    python tools/convert_labels.py configs/scenes/convert_fair1m_scenes.py --evaluate

Needs data/scenes/fair1m (tools/make_scenes.py fair1m data/scenes/fair1m); `make demo` runs both.
Cost: about 0.01 s per box and tile on one core.  No paper: embedded data (docs/design.md).
"""

_base_ = "../_base_/convert.py"

out_dir = "data/scenes/fast"
source = dict(
    format="fair1m",
    images="data/scenes/fair1m/images",
    annotations="data/scenes/fair1m/labelXml",
    classes="fast",
)
tiling = dict(size=384, overlap=96, iof_thr=0.5)
prompt = "rhbox"
truth = dict(kind="instance_png", masks="data/scenes/fair1m/masks")
predictor = "grabcut"
split = dict(val_fraction=0.2, seed=0)
