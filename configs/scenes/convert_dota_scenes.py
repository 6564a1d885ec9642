"""Procedural scenes with DOTA labels to masks, cut into tiles; the scenes' exact masks are truth.

    python tools/convert_labels.py configs/scenes/convert_dota_scenes.py --evaluate

Needs data/scenes/dota (tools/make_scenes.py dota data/scenes/dota); `make demo` runs both.
Cost: about 0.01 s per box and tile on one core.  No paper: embedded data (docs/design.md).
"""

_base_ = "../_base_/convert.py"

out_dir = "data/scenes/sota"
source = dict(
    format="dota",
    images="data/scenes/dota/images",
    annotations="data/scenes/dota/labelTxt",
    classes="sota",
)
tiling = dict(size=384, overlap=64, iof_thr=0.7)
prompt = "rhbox"
truth = dict(kind="instance_png", masks="data/scenes/dota/masks")
predictor = "grabcut"
split = dict(val_fraction=0.2, seed=0)
