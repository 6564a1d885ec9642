"""GSNet whose specialist has CLIP's architecture, DINO ViT-B/16, as the paper says; the release has ViT-B/8.

    python tools/train.py configs/landdiscover/gsnet_dino_vitb16.py

Weights: data/weights/dino_vitb16.pth, a DINO "teacher" file of patches of 16 pixels (configs/dino pre-trains one).  Its
grid at 384 x 384 is CLIP's, 24 x 24, so nothing brings it down, and its maps are enlarged as CLIP's.
Expected: no published figure.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(dino=dict(patch=16, grid=14, weights="data/weights/dino_vitb16.pth"))
