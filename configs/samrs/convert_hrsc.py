"""HRSC2016's ship boxes to masks by SAM ViT-H, with the test part's masks as truth (SAMRS paper, table 1).

    python tools/convert_labels.py configs/samrs/convert_hrsc.py --evaluate
    python tools/ablate_prompts.py configs/samrs/convert_hrsc.py

Expected (paper, table 1, test part): mIOU_I 89.97, mIOU_P 79.40 for H-Box, 88.85 / 76.42 for RH-Box
(--cfg-options prompt=rhbox).  Not run by us.  Cost: one encoding per image, kept whole.

Deviations: ships without truth pixels are left out of both means, the release counts them as IoU 0
(truth.samrs_compat_union=True, or --samrs-compat-union); points are moved into SAM's frame, the release forgot to
(predictors.sam.samrs_compat_points=True).
"""

_base_ = "../_base_/convert.py"

out_dir = "data/samrs/hrsc"
source = dict(
    format="hrsc",
    images="data/hrsc2016/Test/AllImages",
    annotations="data/hrsc2016/Test/Annotations",
    classes="hrsc",
    image_mode="convert",
)
truth = dict(kind="hrsc", masks="data/hrsc2016/FullDataSet/LandMask")
predictor = "sam"
