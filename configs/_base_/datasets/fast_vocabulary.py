"""FAST's tiles of FAIR1M's validation part: as GSNet's release has them, converted here, or released by SAMRS."""

_base_ = ["./_segmentation.py"]

_released, train_dataloader, val_dataloader = "released/fair1m_1024/trainval", None, None
test_dataloader = dict(
    dataset=dict(
        type="FASTDataset",
        data_root="data/samrs",
        layouts=[
            dict(images="FAST/val/images/*.png", labels="FAST/val/semlabels/gray/*.png"),
            dict(images="FAST/val/images/*.png", labels="FAST/val/semlabels/*.png"),
            dict(images="fast/images/valid_*.png", labels="fast/gray/valid_*.png"),
            dict(images=f"{_released}/images/valid_*.png", labels=f"{_released}/rhbox_segs_init/gray/valid_*.png"),
        ],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
