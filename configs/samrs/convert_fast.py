"""FAST: FAIR1M-2.0's rotated boxes to masks by SAM ViT-H, RH-Box prompts (SAMRS paper, section 3; 37 classes).

    python tools/convert_labels.py configs/samrs/convert_fast.py

Several GPUs: torchrun --nproc-per-node 8 tools/convert_labels.py configs/samrs/convert_fast.py --launcher pytorch
The release's own semantics: --cfg-options preset=samrs_compat (see rsseg/conversion/presets.py).
Expected (paper): 64,147 tiles of 600 x 600.  Not run by us.  Cost: about 0.5 s per tile for the encoder on an RTX
3090 (estimate).
Train and validation use the same file names; tiles and labels begin with train_ and valid_, as in the release.

Deviations: tile size is the paper's, overlap 150 and threshold 0.5 are BboxToolkit's defaults (the paper gives
none).  Unless the preset is set: small images are not padded, and the split goes by source image, not by tile.
"""

_base_ = "../_base_/convert.py"

out_dir = "data/samrs/fast"
source = dict(
    format="fair1m",
    images="data/fair1m",
    annotations="data/fair1m",
    parts=[
        dict(images="train", annotations="train", prefix="train_"),
        dict(images="validation", annotations="validation", prefix="valid_"),
    ],
    classes="fast",
    image_mode="convert",
)
tiling = dict(size=600, overlap=150, iof_thr=0.5)
prompt = "rhbox"
predictor = "sam"
