"""ViT-S with patches of 8 on BigEarthNet v1.0: all twelve bands, 43 classes.

    python tools/train.py configs/bigearthnet/vit_s8_all.py --amp
    python tools/test.py configs/bigearthnet/vit_s8_all.py work_dirs/bigearthnet/vit_s8_all/epoch_100.pth

From scratch, AdamW instead of SGD.  Expected: not in the paper.  Not run by us on the archive.
"""

_base_ = [
    "../_base_/models/labels_vit_s8.py",
    "../_base_/datasets/bigearthnet.py",
    "../_base_/schedules/bigearthnet_100_adamw.py",
    "../_base_/default_runtime_cls.py",
]

model = dict(backbone=dict(in_channels=12), head=dict(num_classes=43))
