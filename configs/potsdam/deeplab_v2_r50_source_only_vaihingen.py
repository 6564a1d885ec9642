"""Source only, DeepLabV2: ISPRS Potsdam to Vaihingen.

    python tools/train.py configs/potsdam/deeplab_v2_r50_source_only_vaihingen.py

Not run by us. 16 source images a batch and no clipping, as LoveDA's release has it. Potsdam is red, green, blue;
Vaihingen infrared, red, green.  Settings are those of LoveDA's release.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_potsdam.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5, form="single"), adaptation=dict(type="SourceOnly"))
train_dataloader = dict(sampler=dict(counts=[16, 0]))
optim_wrapper = dict(clip_grad=None)
