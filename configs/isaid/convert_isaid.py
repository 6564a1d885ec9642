"""iSAID: oriented boxes in DOTA's format to masks; the instance PNGs are truth (SAMRS paper, eq. 1).

    python tools/convert_labels.py configs/isaid/convert_isaid.py --evaluate
    python tools/ablate_prompts.py configs/isaid/convert_isaid.py --prompts hbox rhbox

Expected (measured, P0003 and P0004: 175 instances, 265 in 4 tiles): mIOU_I 0.855, mIOU_P 0.885 with grabcut, 2.6 s
per image on one core; 0.701 / 0.641 with --predictor box (the hull of the rotated box).
H-Box prompts give grabcut 0.832 / 0.855.

Images, *_instance_color_RGB.png and *_instance_id_RGB.png lie in one folder.  A box is compared with the instance
of its class whose tight box fits best (IoU at least 0.5); the others count as "no truth".
"""

_base_ = "../_base_/convert.py"

out_dir = "data/isaid/converted"
source = dict(
    format="dota",
    images="data/isaid/images",
    annotations="data/isaid/labelTxt",
    classes="sota",
)
tiling = dict(size=1024, overlap=200, iof_thr=0.7)
prompt = "rhbox"
truth = dict(kind="isaid", masks="data/isaid/images")
predictor = "grabcut"
