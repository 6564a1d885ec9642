"""A tiny UPerNet on a few per cent of NWPU VHR-10's hand-made masks, from scratch: the few-label grid on a CPU.

    python tools/make_few_labels.py data/nwpu_vhr10/masks data/splits/nwpu_vhr10
    python tools/run_few_labels.py data/splits/nwpu_vhr10 work_dirs/few/nwpu_vhr10 --seeds 0
        --init scratch configs/nwpu_vhr10/upernet_tiny_few_nwpu_vhr10.py
        --init scratch+SEP configs/nwpu_vhr10/upernet_tiny_few_from_sep_nwpu_vhr10.py

Measured (5, 3, 1 %; one seed): mIoU 12.38, 16.41, 19.14; from 200 iterations of SEP 16.96, 38.01, 19.03.  The 40
test images hold 5 of the 10 classes.  Cost: about a minute of one core for each of the 6 runs.
Only pixels of objects are trained and scored: with background, 60 iterations learn nothing but background.
"""

_base_ = [
    "../_base_/models/upernet_tiny.py",
    "../_base_/datasets/nwpu_masks.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=10))
few = dict(table="nwpu_vhr10", subset="data/splits/nwpu_vhr10/few_1_seed0.txt")
train_dataloader = dict(batch_size=4, num_workers=1, dataset=few)
val_dataloader = dict(num_workers=1, dataset=dict(table="nwpu_vhr10", indices=40))  # the first 40 of 156 images
test_dataloader = val_dataloader
param_scheduler = [dict(type="CosineAnnealingLR", T_max=60, eta_min=0.0, begin=0, end=60, by_epoch=False)]
train_cfg = dict(max_iters=60, val_interval=60)
default_hooks = dict(checkpoint=dict(interval=30), logger=dict(interval=10))
