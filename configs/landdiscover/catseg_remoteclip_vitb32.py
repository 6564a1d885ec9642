"""CAT-Seg with RemoteCLIP ViT-B/32 on LandDiscover50K (GSNet paper, tables 2 and 3, row B: the same figures).

    python tools/train.py configs/landdiscover/catseg_remoteclip_vitb32.py

Needs data/weights/RemoteCLIP-ViT-B-32.pt, from the hub chendelong/RemoteCLIP.
Expected (paper; mIoU): FLAIR 14.36, FAST 10.79, Potsdam 24.54, FloodNet 29.83, mean 19.88.  Not run by us.
Not in the paper: the image size and the recipe; see gsnet_remoteclip_vitb32.py and catseg_vitb16.py.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(
    clip=dict(
        visual=dict(patch=32, grid=7),
        resolution=768,
        activation="gelu",
        weights="data/weights/RemoteCLIP-ViT-B-32.pt",
    ),
    dino=None,
    fusion=dict(type="CostEmbedding"),
    decoder=dict(guidance=("clip",)),
    test_cfg=dict(crop_size=384),
)
