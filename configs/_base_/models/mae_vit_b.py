"""Masked autoencoder of ViT-B/16 on images of 224: a quarter of the patches is seen, the others' pixels are guessed.

mmpretrain's model with the settings of the MAE paper (section 4, appendix A.1).
"""

model = dict(
    type="MAE",
    data_preprocessor=dict(
        type="SelfSupDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(type="MAEViT", arch="b", patch_size=16, mask_ratio=0.75),
    neck=dict(type="MAEPretrainDecoder", embed_dim=768, decoder_embed_dim=512, decoder_depth=8, decoder_num_heads=16),
    head=dict(
        type="MAEPretrainHead",
        norm_pix=True,
        patch_size=16,
        loss=dict(type="PixelReconstructionLoss", criterion="L2"),
    ),
    init_cfg=[
        dict(type="Xavier", layer="Linear", distribution="uniform"),
        dict(type="Constant", layer="LayerNorm", val=1.0, bias=0.0),
    ],
)
