"""IAST with DeepLabV2: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_iast_loveda.py

Not run by us. Defects of the release: thresholds move by pairs of images, here by single ones; its discriminator
trains nothing and is left out. The release's pairs: model.adaptation.release_defects=True. Rural to urban:
SOURCE=Rural TARGET=Urban in the environment. The release adapts on the images that it scores; here on Train of the
target, scored on Val. The release scores images in pairs, without the last of an odd number: --cfg-options
test_dataloader.batch_size=2 test_dataloader.drop_last=True. To urban, the release uses 4000 iterations of the source
alone: --cfg-options model.adaptation.start=4000
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_loveda.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=7, form="ppm"), adaptation=dict(type="IAST"))
train_dataloader = dict(dataset=dict(target=dict(pipeline={{_base_.placed_pipeline_512}})))
