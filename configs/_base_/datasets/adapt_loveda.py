"""LoveDA as unpacked, from one domain to the other, which the environment names: SOURCE=Rural TARGET=Urban."""

_base_ = ["./_segmentation.py"]

source, target = "{{$SOURCE:Urban}}", "{{$TARGET:Rural}}"
folders = dict(img_path="images_png", seg_map_path="masks_png")
common = dict(type="TableDataset", table="loveda", img_suffix=".png", data_prefix=folders)
turns = dict(**common, pipeline={{_base_.one_turn_pipeline_512}})
train_dataloader = dict(
    batch_size=16,
    sampler=dict(counts=[8, 8]),
    dataset=dict(
        type="AdaptationDataset",
        source=dict(**turns, data_root=f"data/loveda/Train/{source}"),
        target=dict(**turns, data_root=f"data/loveda/Train/{target}"),
    ),
)
val = dict(**common, data_root=f"data/loveda/Val/{target}", pipeline={{_base_.test_pipeline}})
val_dataloader = test_dataloader = dict(dataset=val)
