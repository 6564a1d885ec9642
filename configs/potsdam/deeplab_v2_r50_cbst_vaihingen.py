"""CBST with DeepLabV2: ISPRS Potsdam to Vaihingen.

    python tools/train.py configs/potsdam/deeplab_v2_r50_cbst_vaihingen.py

Not run by us. Defect of the release: thresholds come from a softmax of probabilities; here from one softmax of the
logits. The release's numbers: model.adaptation.release_defects=True. Potsdam is red, green, blue; Vaihingen infrared,
red, green.  Settings are those of LoveDA's release.
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_potsdam.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5, form="ppm"), adaptation=dict(type="CBST"))
train_dataloader = dict(dataset=dict(target=dict(pipeline={{_base_.placed_pipeline_512}})))
