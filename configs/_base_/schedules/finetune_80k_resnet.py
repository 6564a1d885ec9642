"""Fine-tuning (SAMRS paper, table 8) for ResNet: AdamW 1e-3 on all parameters alike, decay 1e-4, cosine to 5e-6."""

_base_ = ["./finetune_80k.py"]

optim_wrapper = dict(optimizer=dict(lr=1e-3, weight_decay=1e-4), paramwise_cfg=dict(_delete_=True))
param_scheduler = [dict(type="CosineAnnealingLR", T_max=80000, eta_min=5e-6, begin=0, end=80000, by_epoch=False)]
