"""MMD (the paper's MCD) with DeepLabV2: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/deeplab_v2_r50_mmd_openearthmap.py

Expected (paper, on target_test.txt, whose labels are not public): mIoU 47.36 (source only 50.01).  Not run by us.
Deep domain confusion, not maximum classifier discrepancy; embeddings are compared image by image, so batches hold as
many of both. The paper names no settings; these are LoveDA's release's. No choice is made on the target's labels;
scores are those of target_val.txt.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_openearthmap.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8, form="mmd"), adaptation=dict(type="MMD", weight=0.01))
train_cfg = dict(max_iters=8000)
