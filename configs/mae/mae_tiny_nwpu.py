"""Masked autoencoding of a small ViT on NWPU VHR-10's 520 images: the SAMRS-MAE run (appendix A.4) for a CPU.

    python tools/train.py configs/mae/mae_tiny_nwpu.py
    python tools/convert_weights.py work_dirs/mae/mae_tiny_nwpu/iter_200.pth data/weights/mae_tiny.pth

Measured: the loss falls from 1.29 to 0.80; 1 is what the mean of each patch would give.  Cost: 200 iterations,
1.5 minutes on a quiet core.  Needs data/nwpu_vhr10/images; for another folder
--cfg-options train_dataloader.dataset.folders=[FOLDER].
"""

_base_ = ["./mae_vit_b_samrs.py"]

model = dict(
    backbone=dict(arch="deit-tiny"),
    neck=dict(embed_dim=192, decoder_embed_dim=128, decoder_depth=2, decoder_num_heads=4),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(folders=["data/nwpu_vhr10/images"]),
)
auto_scale_lr = dict(base_batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-4, begin=0, end=20, by_epoch=False),
    dict(type="CosineAnnealingLR", T_max=180, eta_min=0.0, begin=20, end=200, by_epoch=False),
]
train_cfg = dict(max_iters=200)
default_hooks = dict(checkpoint=dict(interval=200), logger=dict(interval=20))
