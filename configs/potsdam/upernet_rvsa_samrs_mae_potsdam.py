"""UPerNet ViT-B + RVSA on Potsdam from SAMRS-MAE (SAMRS paper, table 3).

    python tools/convert_weights.py FILE data/weights/rvsa_b_samrs_mae.pth --backbone rvsa
    tools/dist_train.sh configs/potsdam/upernet_rvsa_samrs_mae_potsdam.py 8

Expected (paper): OA 90.71, mF1 90.13.  Not run by us.
FILE: of configs/mae/mae_vit_b_samrs.py, work_dirs/mae/mae_vit_b_samrs/iter_238000.pth.
"""

_base_ = ["./upernet_rvsa_potsdam.py"]

model = dict(backbone=dict(init_cfg=dict(checkpoint="data/weights/rvsa_b_samrs_mae.pth")))
