"""SOTA-RBB: DOTA-v2.0 oriented boxes to masks by SAM ViT-H, RH-Box prompts (SAMRS release of March 2024; 18 classes).

    python tools/convert_labels.py configs/samrs/convert_sota_rbb.py

Expected: tiles of 1024 x 1024, their number is not published.  Not run by us.  Cost: as configs/samrs/convert_sota.py,
about 0.5 s per tile for the encoder on an RTX 3090 (estimate).

Deviations: as configs/samrs/convert_sota.py; the share of an object that a tile shows is that of its oriented box.
"""

_base_ = "./convert_sota.py"

out_dir = "data/samrs/sota_rbb"
source = dict(
    parts=[
        dict(images="train/images", annotations="train/labelTxt-v2.0/DOTA-v2.0_train"),
        dict(images="val/images", annotations="val/labelTxt-v2.0/DOTA-v2.0_val"),
    ],
)
prompt = "rhbox"
