"""SIOR, test images: DIOR's horizontal boxes to masks by SAM ViT-H, H-Box prompts (SAMRS paper, section 3).

    python tools/convert_labels.py configs/samrs/convert_sior_test.py

Expected (paper): 11,738 of SIOR's 23,463 images; pre-training leaves them out.  Not run by us.
Cost and deviations: as configs/samrs/convert_sior.py; all of them count as validation.
"""

_base_ = "./convert_sior.py"

out_dir = "data/samrs/sior_test"
source = dict(images="data/dior/JPEGImages-test")
split = dict(val_fraction=1.0)
