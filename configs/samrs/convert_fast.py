"""FAST: FAIR1M-2.0's rotated boxes to masks by SAM ViT-H, RH-Box prompts (SAMRS paper, section 3; 37 classes).

    python tools/convert_labels.py configs/samrs/convert_fast.py

Expected (paper): 64,147 tiles of 600 x 600.  Cost: about 0.5 s per tile for the encoder on an RTX 3090 (estimate).
FAIR1M's train and validation use the same file names: give them a prefix, or convert them into two folders.

Deviations: tile size is the paper's, overlap 150 and threshold 0.5 are BboxToolkit's defaults (the paper gives
none); small images are not padded; the split goes by source image, not by tile.
"""

_base_ = "../_base_/convert.py"

out_dir = "data/samrs/fast"
source = dict(
    format="fair1m",
    images="data/fair1m/images",
    annotations="data/fair1m/labelXml",
    classes="fast",
    image_mode="convert",
)
tiling = dict(size=600, overlap=150, iof_thr=0.5)
prompt = "rhbox"
predictor = "sam"
