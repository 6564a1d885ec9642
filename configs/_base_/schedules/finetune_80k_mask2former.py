"""Fine-tuning of Mask2Former as in the SAMRS release: mask2former_80k.py, but cosine and 1e-4 for the backbone too.

The release means to give the backbone a tenth, under a name that none of its modules has.
"""

_base_ = ["./mask2former_80k.py"]

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys=dict(
            _delete_=True,
            query_embed=dict(decay_mult=0.0),
            query_feat=dict(decay_mult=0.0),
            level_embed=dict(decay_mult=0.0),
        )
    )
)
param_scheduler = [dict(type="CosineAnnealingLR", T_max=80000, eta_min=0.0, begin=0, end=80000, by_epoch=False)]
train_cfg = dict(val_interval=8000)
