"""Fine-tuning (SAMRS paper, table 8) for InternImage: AdamW 6e-5, decay 0.05, the same rate in all 30 layers."""

_base_ = ["./finetune_80k.py"]

optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    constructor="LayerDecayConstructor",
    paramwise_cfg=dict(_delete_=True, layer_decay_rate=1.0),
)
