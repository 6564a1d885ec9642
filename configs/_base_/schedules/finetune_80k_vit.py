"""Fine-tuning (SAMRS paper, table 8) for ViT, BEiT and RVSA: AdamW 6e-5, decay 0.05, cosine to 0.

All layers have one rate: the paper's recipe has no layer decay, and the release's acts nowhere.  One that acts:
`--cfg-options optim_wrapper.paramwise_cfg.layer_decay_rate=0.9`.
"""

_base_ = ["./finetune_80k.py"]

optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(_delete_=True, layer_decay_rate=1.0),
)
