"""SEP of the SAMRS paper (table 8) for ViT-Adapter: AdamW 6e-5, decay 0.01, layer decay 0.95, cosine to 0.

The release's layer decay does nothing; `optim_wrapper.paramwise_cfg.samrs_compat=True` for the same.
"""

_base_ = ["./sep_80k_vit.py"]

optim_wrapper = dict(optimizer=dict(weight_decay=0.01), paramwise_cfg=dict(layer_decay_rate=0.95))
