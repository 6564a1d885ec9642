r"""SCAN with RemoteCLIP ViT-B/32 on LandDiscover50K alone (GSNet paper, table 2).

    python tools/train.py configs/landdiscover/scan_remoteclip_vitb32.py
    tools/dist_train.sh configs/landdiscover/scan_remoteclip_vitb32.py 4

Expected (GSNet paper; mIoU): FLAIR 15.38, FAST 9.48, Potsdam 10.15, FloodNet 19.05, mean 13.51.  Not run by us.
data/weights/RemoteCLIP-ViT-B-32.pt is chendelong/RemoteCLIP's on the Hugging Face hub.
CLIP sees 224 x 224 pixels as everywhere in SCAN, here in 7 x 7 patches: the release's MODEL.PATCH_SIZE, which is the
side of the grid, would be 7.  Recipe, choices and deviations: see scan_vitb16.py.
"""

_base_ = [
    "../_base_/models/scan.py",
    "../_base_/datasets/landdiscover_640_wide.py",
    "../_base_/schedules/scan_30k.py",
    "../_base_/default_runtime.py",
]

model = dict(
    vocabulary="landdiscover",
    clip=dict(visual=dict(patch=32, grid=7), weights="data/weights/RemoteCLIP-ViT-B-32.pt"),
)
val_cfg = None
val_evaluator = None
test_evaluator = dict(only_true=True)
