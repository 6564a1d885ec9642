"""Procedural scenes with DIOR's horizontal boxes to masks, images kept whole; the exact masks are truth.

    python tools/convert_labels.py configs/scenes/convert_dior_scenes.py --evaluate

Needs data/scenes/dior (tools/make_scenes.py dior data/scenes/dior); `make demo` runs both.
Cost: about 0.01 s per box and tile on one core.  No paper: embedded data (docs/design.md).
"""

_base_ = "../_base_/convert.py"

out_dir = "data/scenes/sior"
source = dict(
    format="dior",
    images="data/scenes/dior/JPEGImages-trainval",
    annotations="data/scenes/dior/Annotations/Horizontal Bounding Boxes",
    classes="sior",
)
truth = dict(kind="instance_png", masks="data/scenes/dior/masks")
predictor = "grabcut"
split = dict(val_fraction=0.2, seed=0)
