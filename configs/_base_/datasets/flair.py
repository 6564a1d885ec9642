"""FLAIR's test part, as GSNet's release prepares it or as published (GeoTIFFs of five bands); only to be tested on."""

_base_ = ["./_segmentation.py"]

bands = (1, 2, 3)  # red, green, blue of five
train_dataloader = None
val_dataloader = None
test_dataloader = dict(
    dataset=dict(
        type="FLAIRDataset",
        data_root="data/flair",
        layouts=[
            dict(images="test/image/*.png", labels="test/mask/*.png", table="flair_prepared"),
            dict(images="**/*aerial_test/**/IMG_*.tif", labels="**/*labels_test/**/MSK_*.tif"),
            dict(images="**/IMG_*.tif", labels="**/MSK_*.tif"),
        ],
        pipeline={{_base_.vocabulary_pipeline}},
    ),
)
