"""MMD (the paper's MCD) with DeepLabV2: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_mmd_loveda.py

Not run by us. Deep domain confusion, not maximum classifier discrepancy; embeddings are compared image by image, so
batches hold as many of both. Rural to urban: SOURCE=Rural TARGET=Urban in the environment. The release adapts on the
images that it scores; here on Train of the target, scored on Val. The release scores images in pairs, without the
last of an odd number: --cfg-options test_dataloader.batch_size=2 test_dataloader.drop_last=True. To urban, the
release uses weight 0.25 and 10,000 iterations: --cfg-options model.adaptation.weight=0.25 train_cfg.max_iters=10000
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_loveda.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=7, form="mmd"), adaptation=dict(type="MMD", weight=0.01))
train_cfg = dict(max_iters=8000)
