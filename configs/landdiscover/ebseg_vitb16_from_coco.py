"""EBSeg of its release, trained on COCO-Stuff, fine-tuned on LandDiscover50K (GSNet paper, table 2).

    python tools/convert_weights.py data/weights/EBSeg_base.pth data/weights/ebseg_vitb16_coco.pth
    python tools/train.py configs/landdiscover/ebseg_vitb16_from_coco.py --amp

The first file is EBSeg's published base model (huggingface.co/slonetime/EBSeg).
Expected (GSNet paper; mIoU): FLAIR 21.26, FAST 18.53, Potsdam 5.68, FloodNet 35.26, mean 20.18.  Not run by us.
Not in the paper: which model it starts from, and the recipe; here and for deviations see ebseg_vitb16.py.
The release itself, without fine-tuning, has seen other classes: model.seen is then the list of COCO-Stuff's 171 names.
"""

_base_ = [
    "../_base_/models/ebseg.py",
    "../_base_/datasets/landdiscover_640.py",
    "../_base_/schedules/ebseg_30k.py",
    "../_base_/default_runtime.py",
]

model = dict(vocabulary="landdiscover", seen="landdiscover", clip=dict(weights=None), sam=dict(weights=None))
train_dataloader = dict(batch_size=16)
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint="data/weights/ebseg_vitb16_coco.pth"))
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
