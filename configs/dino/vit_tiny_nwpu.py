"""DINO of a small ViT on NWPU VHR-10's 520 images: the run of GSNet's specialist for a CPU.

python tools/train.py configs/dino/vit_tiny_nwpu.py
"""

_base_ = ["./vit_b8_landdiscover.py"]

model = dict(
    backbone=dict(width=128, layers=6, heads=2, grid=8, resolution=128, taps=(1, 3, 5)),
    head=dict(in_channels=128, out_channels=1024, hidden_channels=256, bottleneck_channels=64),
)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    sampler=dict(batch_size=16),
    dataset=dict(folders=["data/nwpu_vhr10/images"], pipeline={{_base_.multi_crop_small}}),
)
auto_scale_lr = dict(base_batch_size=16)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, begin=0, end=40, by_epoch=False),
    dict(type="CosineAnnealingLR", T_max=360, eta_min=1e-6, begin=40, end=400, by_epoch=False),
    dict(type="CosineAnnealingParamScheduler", param_name="weight_decay", eta_min_ratio=10, end=400, by_epoch=False),
]
train_cfg = dict(max_iters=400)
default_hooks = dict(
    self_distillation=dict(epoch=32, temperature_epochs=4), checkpoint=dict(interval=400), logger=dict(interval=20)
)
