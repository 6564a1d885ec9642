"""NWPU VHR-10 masks from scratch with few labelled images, on a CPU.

python tools/train.py configs/nwpu_vhr10/upernet_tiny.py
"""

_base_ = [
    "../_base_/models/upernet_tiny.py",
    "../_base_/datasets/nwpu_masks.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=11))
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(indices=40))
val_dataloader = dict(num_workers=1)
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
