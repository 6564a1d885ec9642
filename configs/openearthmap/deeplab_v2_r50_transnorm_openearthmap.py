"""TransNorm with DeepLabV2: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/deeplab_v2_r50_transnorm_openearthmap.py

Expected (paper, on target_test.txt, whose labels are not public): mIoU 51.01 (source only 50.01).  Not run by us.
AdaptSegNet's losses; tests normalise by the target's statistics.  Batches hold as many images of both. The paper
names no settings; these are LoveDA's release's. No choice is made on the target's labels; scores are those of
target_val.txt.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_openearthmap.py",
    "../_base_/schedules/adapt_10k_adversarial.py",
    "../_base_/default_runtime.py",
]

model = dict(
    backbone=dict(norm_cfg=dict(type="TransNorm")),
    decode_head=dict(num_classes=8, form="twin"),
    adaptation=dict(type="TransNormAdaptation"),
)
