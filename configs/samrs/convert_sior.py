"""SIOR: DIOR's horizontal boxes to masks by SAM ViT-H, H-Box prompts (SAMRS paper, section 3; 20 classes).

    python tools/convert_labels.py configs/samrs/convert_sior.py

Train and validation images; configs/samrs/convert_sior_test.py converts the test images.
Expected (paper): 23,463 images of 800 x 800, kept whole, of which these are 11,725, those used for pre-training.
Not run by us.  Cost: about 0.5 s per image for the encoder on an RTX 3090 (estimate).  Images stay where they are;
only labels are written.

Deviations: the four label files with empty or inverted boxes lose those boxes (listed in manifest.json); the
split goes by a hash of the image name.
"""

_base_ = "../_base_/convert.py"

out_dir = "data/samrs/sior"
source = dict(
    format="dior",
    images="data/dior/JPEGImages-trainval",
    annotations="data/dior/Annotations/Horizontal Bounding Boxes",
    shared_labels=True,  # one folder of labels for all of DIOR
    classes="sior",
)
predictor = "sam"
