"""DINO with ViT-B/8 and 65,536 outputs, student and teacher (Caron et al. 2021; settings of their release).

Images are normalised by ImageNet's mean and deviation, as there; GSNet shows its specialist images by CLIP's.
"""

model = dict(
    type="mmseg.DINOPretraining",
    data_preprocessor=dict(
        type="SelfSupDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(type="mmseg.DINOViT", frozen=False, drop_path=0.1),
    head=dict(type="mmseg.DINOHead", in_channels=768, out_channels=65536, norm_last_layer=True),
    student_temperature=0.1,
    centre_momentum=0.9,
)
