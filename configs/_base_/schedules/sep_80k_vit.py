"""SEP of the SAMRS paper (table 8) for ViT, BEiT and RVSA: AdamW 6e-5, decay 0.05, layer decay 0.9, cosine to 0.

The release's layer decay does nothing; `optim_wrapper.paramwise_cfg.samrs_compat=True` for the same.
"""

_base_ = ["./sep_80k.py"]

optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(_delete_=True, layer_decay_rate=0.9),
)
