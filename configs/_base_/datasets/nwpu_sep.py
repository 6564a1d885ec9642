"""NWPU VHR-10 and the DOTA and iSAID samples, converted from boxes; only NWPU is large enough for validation."""

_base_ = ["./_segmentation.py"]

common = dict(type="ConvertedDataset", pipeline={{_base_.train_pipeline_224}})
nwpu = dict(type="ConvertedDataset", table="nwpu_vhr10", data_root="data/nwpu_vhr10/converted")
train_dataloader = dict(
    dataset=dict(
        type="MultiDataset",
        datasets=[
            dict(**nwpu, split="train", pipeline={{_base_.train_pipeline_224}}),
            dict(**common, table="sota", name="dota", data_root="data/dota/converted", split=None),
            dict(**common, table="sota", name="isaid", data_root="data/isaid/converted", split=None),
        ],
    )
)
val_dataloader = dict(
    dataset=dict(type="MultiDataset", datasets=[dict(**nwpu, split="val", pipeline={{_base_.test_pipeline}})])
)
test_dataloader = val_dataloader
