"""SOTA: DOTA-v2.0 train and val boxes to masks by SAM ViT-H, H-Box prompts (SAMRS paper, section 3; 18 classes).

    python tools/convert_labels.py configs/samrs/convert_sota.py

Several GPUs: torchrun --nproc-per-node 8 tools/convert_labels.py configs/samrs/convert_sota.py --launcher pytorch
The release's own semantics: --cfg-options preset=samrs_compat (see rsseg/conversion/presets.py).
Expected (paper): 17,480 tiles of 1024 x 1024.  Not run by us.  Cost: about 0.5 s per tile for the encoder on an RTX
3090 (estimate).

Deviations: tile size is the paper's, overlap 200 and threshold 0.7 are BboxToolkit's defaults (the paper gives
none).  Unless the preset is set: small images are not padded, and the split goes by source image, not by tile.
Folders are those of the unpacked archives; for folders of your own give --images and --annotations.
"""

_base_ = "../_base_/convert.py"

out_dir = "data/samrs/sota"
source = dict(
    format="dota",
    images="data/dota",
    annotations="data/dota",
    parts=[
        dict(images="train/images", annotations="train/labelTxt-v2.0/DOTA-v2.0_train_hbb"),
        dict(images="val/images", annotations="val/labelTxt-v2.0/DOTA-v2.0_val_hbb"),
    ],
    classes="sota",
    image_mode="convert",  # DOTA-v2.0 holds grey images
)
tiling = dict(size=1024, overlap=200, iof_thr=0.7)
predictor = "sam"
