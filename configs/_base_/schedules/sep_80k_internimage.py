"""SEP of the SAMRS paper (table 8) for InternImage: AdamW 6e-5, decay 0.05, the same rate in all 30 layers."""

_base_ = ["./sep_80k_vit.py"]

optim_wrapper = dict(paramwise_cfg=dict(layer_decay_rate=1.0))
