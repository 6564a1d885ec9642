"""Fine-tuning (SAMRS paper, table 8) for ViT-Adapter: AdamW 6e-5, decay 0.01, layer decay 0.95, cosine to 0.

The release's layer decay does nothing; `optim_wrapper.paramwise_cfg.samrs_compat=True` for the same.
"""

_base_ = ["./finetune_80k.py"]

optim_wrapper = dict(
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(_delete_=True, layer_decay_rate=0.95),
)
