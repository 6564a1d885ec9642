"""SIOR: DIOR's horizontal boxes to masks by SAM ViT-H, H-Box prompts (SAMRS paper, section 3; 20 classes).

    python tools/convert_labels.py configs/samrs/convert_sior.py

Expected (paper): 23,463 images of 800 x 800, kept whole.  Cost: about 0.5 s per image for the encoder on an RTX
3090 (estimate).  Images stay where they are; only labels are written.

Deviations: the four label files with empty or inverted boxes lose those boxes (listed in manifest.json); the
split goes by a hash of the image name.
"""

_base_ = "../_base_/convert.py"

out_dir = "data/samrs/sior"
source = dict(
    format="dior",
    images="data/dior/JPEGImages",
    annotations="data/dior/Annotations/Horizontal Bounding Boxes",
    classes="sior",
)
predictor = "sam"
