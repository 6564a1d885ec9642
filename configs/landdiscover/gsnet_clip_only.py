"""GSNet without the specialist (GSNet paper, table 3, row A: CLIP alone).

    python tools/train.py configs/landdiscover/gsnet_clip_only.py

Expected (paper; mIoU): FLAIR 18.62, FAST 14.29, Potsdam 38.59, FloodNet 40.10, mean 27.90.  Not run by us.
Not in the paper: what stands for QGFF.  Here its first embedding, with the sigmoid; catseg_vitb16.py is without.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(
    dino=None,
    fusion=dict(type="CostEmbedding", sigmoid=True),
    decoder=dict(guidance=("clip",)),
)
