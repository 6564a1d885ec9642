"""SEP of the SAMRS paper (table 8) for ViT-Adapter: AdamW 6e-5, decay 0.01, cosine to 0.

All layers have one rate: the paper's recipe has no layer decay, and the release's acts nowhere.  One that acts:
`--cfg-options optim_wrapper.paramwise_cfg.layer_decay_rate=0.95`.
"""

_base_ = ["./sep_80k_vit.py"]

optim_wrapper = dict(optimizer=dict(weight_decay=0.01), paramwise_cfg=dict(layer_decay_rate=1.0))
