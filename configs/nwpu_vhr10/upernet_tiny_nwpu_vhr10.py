"""NWPU VHR-10 masks from scratch with few labelled images, on a CPU.

    python tools/train.py configs/nwpu_vhr10/upernet_tiny_nwpu_vhr10.py

Measured on the 166 validation images: mIoU 11.52, mF1 14.14, OA 91.10.  Cost: 300 iterations, 4.5 minutes on one core.
"""

_base_ = [
    "../_base_/models/upernet_tiny.py",
    "../_base_/datasets/nwpu_masks.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

# background is 96 % of the pixels; without a weight this short training predicts nothing else.
# With class weights mmseg averages over labelled pixels anyway, and its avg_non_ignore=True fails.
loss = dict(type="CrossEntropyLoss", avg_non_ignore=False, class_weight=[1.0] * 10 + [0.05])
model = dict(decode_head=dict(num_classes=11, loss_decode=loss))
train_dataloader = dict(batch_size=8, num_workers=1, dataset=dict(indices=list(range(0, 352, 8))))  # 44 of 354 images
val_dataloader = dict(num_workers=1)
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
