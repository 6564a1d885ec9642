"""AdaptSegNet with DeepLabV2: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_adaptseg_loveda.py

Not run by us. Two discriminators on softmax outputs, weights 0.001 (last map) and 0.0002 (the map before). Rural to
urban: SOURCE=Rural TARGET=Urban in the environment. The release adapts on the images that it scores; here on Train of
the target, scored on Val. The release scores images in pairs, without the last of an odd number: --cfg-options
test_dataloader.batch_size=2 test_dataloader.drop_last=True. To urban, the release uses no warm-up: --cfg-options
param_scheduler.0.warmup=0
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_loveda.py",
    "../_base_/schedules/adapt_10k_adversarial.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=7, form="cascade"), adaptation=dict(type="AdaptSeg"))
