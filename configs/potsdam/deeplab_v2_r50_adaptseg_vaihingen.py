"""AdaptSegNet with DeepLabV2: ISPRS Potsdam to Vaihingen.

    python tools/train.py configs/potsdam/deeplab_v2_r50_adaptseg_vaihingen.py

Not run by us. Two discriminators on softmax outputs, weights 0.001 (last map) and 0.0002 (the map before). Potsdam is
red, green, blue; Vaihingen infrared, red, green.  Settings are those of LoveDA's release.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_potsdam.py",
    "../_base_/schedules/adapt_10k_adversarial.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5, form="cascade"), adaptation=dict(type="AdaptSeg"))
