"""CAT-Seg with CLIP ViT-B/16 on LandDiscover50K alone (GSNet paper, table 2).

    python tools/train.py configs/landdiscover/catseg_vitb16.py

Expected (GSNet paper; mIoU): FLAIR 19.99, FAST 13.90, Potsdam 38.79, FloodNet 37.89, mean 27.64.  Not run by us.
GSNet is CAT-Seg with a second stream, so this is GSNet without: one cost volume, embedded without a sigmoid, and
guidance of CLIP in the decoder.  Not in the paper: the recipe; here GSNet's, which is CAT-Seg's but for the iterations
(80,000 on COCO).  Deviations: of more than 256 classes all are kept, where CAT-Seg takes the best 256 of each image.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(
    dino=None,
    fusion=dict(type="CostEmbedding"),
    decoder=dict(guidance=("clip",)),
)
