"""CAT-Seg of its release, trained on COCO-Stuff, fine-tuned on LandDiscover50K (GSNet paper, table 2).

    python tools/convert_weights.py data/weights/model_base.pth data/weights/catseg_vitb16_coco.pth
    python tools/train.py configs/landdiscover/catseg_vitb16_from_coco.py

model_base.pth is CAT-Seg's published ViT-B/16 model (github.com/cvlab-kaist/CAT-Seg).
Expected (GSNet paper; mIoU): FLAIR 18.94, FAST 15.23, Potsdam 36.01, FloodNet 40.64, mean 27.71.  Not run by us.
Not in the paper: which model it starts from, and the recipe; here catseg_vitb16.py's.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(
    clip=dict(weights=None),
    dino=None,
    fusion=dict(type="CostEmbedding"),
    decoder=dict(guidance=("clip",)),
)
default_hooks = dict(start=dict(type="LoadPretrained", checkpoint="data/weights/catseg_vitb16_coco.pth"))
