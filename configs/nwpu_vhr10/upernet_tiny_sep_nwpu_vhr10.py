"""SEP of a tiny UPerNet on the converted NWPU VHR-10, DOTA and iSAID samples, on a CPU.

    python tools/train.py configs/nwpu_vhr10/upernet_tiny_sep_nwpu_vhr10.py

Measured on the 166 validation images of NWPU VHR-10 (labels from boxes, only labelled pixels count): mIoU 45.54, OA
74.80.  Cost: 300 iterations, 5 minutes on one core.
"""

_base_ = [
    "../_base_/models/upernet_tiny.py",
    "../_base_/datasets/nwpu_sep.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(nwpu_vhr10=10, dota=18, isaid=18))
train_dataloader = dict(batch_size=8, num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
