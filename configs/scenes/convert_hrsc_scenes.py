"""Procedural harbours with HRSC2016's ship boxes to masks; LandMask colours are truth.

    python tools/convert_labels.py configs/scenes/convert_hrsc_scenes.py --evaluate

Needs data/scenes/hrsc (tools/make_scenes.py hrsc data/scenes/hrsc); `make demo` runs both.
Cost: about 0.01 s per box and tile on one core.  No paper: embedded data (docs/design.md).
"""

_base_ = "../_base_/convert.py"

out_dir = "data/scenes/hrsc"
source = dict(
    format="hrsc",
    images="data/scenes/hrsc/AllImages",
    annotations="data/scenes/hrsc/Annotations",
    classes="hrsc",
)
truth = dict(kind="hrsc", masks="data/scenes/hrsc/LandMask")
predictor = "grabcut"
split = dict(val_fraction=0.2, seed=0)
