"""Source only, DeepLabV2: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/deeplab_v2_r50_source_only_openearthmap.py

Expected (paper, on target_test.txt, whose labels are not public): mIoU 50.01.  Not run by us. 16 source images a
batch and no clipping, as LoveDA's release has it. The paper names no settings; these are LoveDA's release's. No
choice is made on the target's labels; scores are those of target_val.txt.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_openearthmap.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8, form="single"), adaptation=dict(type="SourceOnly"))
train_dataloader = dict(sampler=dict(counts=[16, 0]))
optim_wrapper = dict(clip_grad=None)
