"""AdaptSegNet with DeepLabV2: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/deeplab_v2_r50_adaptseg_openearthmap.py

Expected (paper, on target_test.txt, whose labels are not public): mIoU 45.60 (source only 50.01).  Not run by us. Two
discriminators on softmax outputs, weights 0.001 (last map) and 0.0002 (the map before). The paper names no settings;
these are LoveDA's release's. No choice is made on the target's labels; scores are those of target_val.txt.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_openearthmap.py",
    "../_base_/schedules/adapt_10k_adversarial.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8, form="cascade"), adaptation=dict(type="AdaptSeg"))
