"""UPerNet BEiT-B on Potsdam from BEiT (SAMRS paper, table 3, BEiT).

    python tools/convert_weights.py beit_base_patch16_224_pt22k_ft22k.pth data/weights/beit_b.pth
    tools/dist_train.sh configs/potsdam/upernet_beit_potsdam.py 8

Expected (paper): OA 86.86, mF1 87.49, inflated by its evaluation (docs/design.md).  Not run by us.
Crops, batch and deviations: as in upernet_swin_potsdam.py.
Deviation: all of BEiT's weights are loaded; the release loses its relative positions, class token, scales and biases
of queries and values on the way.
"""

_base_ = [
    "../_base_/models/upernet_beit.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/finetune_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5), test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)))
train_dataloader = dict(batch_size=1)
