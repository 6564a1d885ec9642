"""FADA with DeepLabV2: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_fada_loveda.py

Not run by us. The source's cross-entropy weighs 0.1 as in LoveDA's release; FADA's paper:
model.adaptation.source_weight=1. Rural to urban: SOURCE=Rural TARGET=Urban in the environment. The release adapts on
the images that it scores; here on Train of the target, scored on Val. The release scores images in pairs, without the
last of an odd number: --cfg-options test_dataloader.batch_size=2 test_dataloader.drop_last=True.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_loveda.py",
    "../_base_/schedules/adapt_10k_adversarial.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=7, form="single"), adaptation=dict(type="FADA"))
