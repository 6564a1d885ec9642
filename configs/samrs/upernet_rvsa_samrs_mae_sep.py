"""SEP of UPerNet ViT-B + RVSA from SAMRS-MAE (SAMRS paper, table 9, SAMRS-MAE+SEP).

    python tools/convert_weights.py FILE data/weights/rvsa_b_samrs_mae.pth --backbone rvsa
    tools/dist_train.sh configs/samrs/upernet_rvsa_samrs_mae_sep.py 8

Expected (paper): mIoU 77.64 / 91.87 / 54.78 on the validation sets.  Not run by us.
FILE: of configs/mae/mae_vit_b_samrs.py, work_dirs/mae/mae_vit_b_samrs/iter_238000.pth.
"""

_base_ = ["./upernet_rvsa_sep.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/rvsa_b_samrs_mae.pth")))
