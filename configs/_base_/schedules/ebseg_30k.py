"""EBSeg's, of a quarter of the length: AdamW 1e-4, decay 0.05 but for norms, embeddings and positions, straight to 0.

Gradients are at most 0.01 long.  The pixel decoder's embedding of levels and the norms of CLIP's maps do decay: the
release has them as no embedding and no norm of torch.
"""

_fixed = dict(decay_mult=0.0)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            "pos_embed": _fixed,
            "positional_embedding": _fixed,
            "query_embed": _fixed,
            "query_feat": _fixed,
            "level_embed": _fixed,
            "clip_fusion_layers.": dict(),
        },
    ),
    clip_grad=dict(max_norm=0.01, norm_type=2),
)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, begin=0, end=30000, by_epoch=False)]
train_cfg = dict(type="IterBasedTrainLoop", max_iters=30000)
