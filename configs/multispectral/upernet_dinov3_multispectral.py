"""UPerNet with DINOv3 ViT-B/16 on tiles of your own: red, green, blue and near infrared of 16 bits (ours).

    python tools/check_dataset.py configs/multispectral/upernet_dinov3_multispectral.py
    tools/dist_train.sh configs/multispectral/upernet_dinov3_multispectral.py 2

Expected: no published figure; not run by us.  The weights come from the hub at the first start; their first layer is
repeated over the four bands in the order red, green, blue, red, and scaled by 3/4.  What else to change for other
tiles: upernet_r50_multispectral.py.
"""

_base_ = [
    "../_base_/models/upernet_dinov3.py",
    "../_base_/datasets/multispectral.py",
    "../_base_/schedules/finetune_80k_vit.py",
    "../_base_/default_runtime.py",
]

bands, value_range = (1, 2, 3, 4), (0, 10000)
data_preprocessor = dict(type="MultibandPreprocessor", mean=[64.0] * 4, std=[64.0] * 4)
model = dict(
    data_preprocessor=dict(_delete_=True, size_divisor=16, **data_preprocessor),
    backbone=dict(in_channels=4),
    decode_head=dict(num_classes=6),
    test_cfg=dict(mode="slide", crop_size=(512, 512), stride=(342, 342)),
)
optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=0.9))
