"""Source only, SegFormer with MiT-B5: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/segformer_b5_source_only_openearthmap.py

Expected (paper, on target_test.txt, whose labels are not public): mIoU 59.32.  Not run by us. The plain segmentor of
segformer_b5_openearthmap.py on crops as DAFormer's, with its schedule; the paper names none.
"""

_base_ = [
    "../_base_/models/segformer_b5.py",
    "../_base_/datasets/openearthmap_regional.py",
    "../_base_/schedules/adapt_40k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(pipeline={{_base_.any_pipeline_512}}),
)
