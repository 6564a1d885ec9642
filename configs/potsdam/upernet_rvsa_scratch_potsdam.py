"""UPerNet ViT-B + RVSA on Potsdam from random initial weights, to compare with; no row of the SAMRS paper.

    tools/dist_train.sh configs/potsdam/upernet_rvsa_scratch_potsdam.py 8

Not run by us.
"""

_base_ = ["./upernet_rvsa_potsdam.py"]

model = dict(backbone=dict(init_cfg=None))
