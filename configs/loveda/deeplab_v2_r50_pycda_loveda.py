"""PyCDA with DeepLabV2: LoveDA, urban to rural.

    python tools/train.py configs/loveda/deeplab_v2_r50_pycda_loveda.py

Not run by us. Defect of the release: its class prior acts as a uniform one; here it is the source's shares. The
release's numbers: model.adaptation.release_defects=True. Rural to urban: SOURCE=Rural TARGET=Urban in the
environment. The release adapts on the images that it scores; here on Train of the target, scored on Val. The release
scores images in pairs, without the last of an odd number: --cfg-options test_dataloader.batch_size=2
test_dataloader.drop_last=True. To urban, the release uses rate 1e-3 and threshold 0.5: --cfg-options
optim_wrapper.optimizer.lr=1e-3 model.adaptation.threshold=0.5
"""

_base_ = [
    "../_base_/models/deeplab_v2_r50.py",
    "../_base_/datasets/adapt_loveda.py",
    "../_base_/schedules/adapt_10k_sgd.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=7, form="ppm"), adaptation=dict(type="PyCDA"))
model_wrapper_cfg = dict(type="mmseg.SteppedDataParallel")
