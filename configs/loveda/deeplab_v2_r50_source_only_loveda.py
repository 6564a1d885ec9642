"""Source only, DeepLabV2: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_source_only_loveda.py

Not run by us. 16 source images a batch and no clipping, as LoveDA's release has it. Rural to urban: SOURCE=Rural
TARGET=Urban in the environment. The release adapts on the images that it scores; here on Train of the target, scored
on Val. The release scores images in pairs, without the last of an odd number: --cfg-options
test_dataloader.batch_size=2 test_dataloader.drop_last=True. To urban, the release uses rate 1e-3, 15,000 iterations
and no warm-up: --cfg-options optim_wrapper.optimizer.lr=1e-3 train_cfg.max_iters=15000 param_scheduler.0.warmup=0
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_loveda.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=7, form="single"), adaptation=dict(type="SourceOnly"))
train_dataloader = dict(sampler=dict(counts=[16, 0]))
optim_wrapper = dict(clip_grad=None)
