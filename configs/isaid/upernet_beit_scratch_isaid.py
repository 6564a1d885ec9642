"""UPerNet BEiT-B on iSAID from random initial weights, to compare with; no row of the SAMRS paper.

    tools/dist_train.sh configs/isaid/upernet_beit_scratch_isaid.py 8

Not run by us.
"""

_base_ = ["./upernet_beit_isaid.py"]

model = dict(backbone=dict(init_cfg=None))
