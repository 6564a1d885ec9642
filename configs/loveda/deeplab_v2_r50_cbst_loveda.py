"""CBST with DeepLabV2: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_cbst_loveda.py

Not run by us. Defect of the release: thresholds come from a softmax of probabilities; here from one softmax of the
logits. The release's numbers: model.adaptation.release_defects=True. Rural to urban: SOURCE=Rural TARGET=Urban in the
environment. The release adapts on the images that it scores; here on Train of the target, scored on Val. The release
scores images in pairs, without the last of an odd number: --cfg-options test_dataloader.batch_size=2
test_dataloader.drop_last=True. To urban, the release uses a portion of 0.5: --cfg-options
model.adaptation.portion=0.5
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_loveda.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=7, form="ppm"), adaptation=dict(type="CBST"))
train_dataloader = dict(dataset=dict(target=dict(pipeline={{_base_.placed_pipeline_512}})))
