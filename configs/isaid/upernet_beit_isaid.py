"""UPerNet BEiT-B on iSAID from BEiT (no row of the SAMRS paper).

    python tools/convert_weights.py beit_base_patch16_224_pt22k_ft22k.pth data/weights/beit_b.pth
    tools/dist_train.sh configs/isaid/upernet_beit_isaid.py 8

Not run by us.
Crops, batch and deviations: as in upernet_swin_isaid.py.
Deviation: all of BEiT's weights are loaded; the release loses its relative positions, class token, scales and biases
of queries and values on the way.
"""

_base_ = [
    "../_base_/models/upernet_beit.py",
    "../_base_/datasets/isaid.py",
    "../_base_/schedules/finetune_80k_vit.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=16), test_cfg=dict(mode="slide", crop_size=(896, 896), stride=(598, 598)))
train_dataloader = dict(batch_size=1)
