"""GSNet with RemoteCLIP ViT-B/32 in CLIP's place (GSNet paper, table 3, row D).

    python tools/train.py configs/landdiscover/gsnet_remoteclip_vitb32.py

Needs data/weights/RemoteCLIP-ViT-B-32.pt, from the hub chendelong/RemoteCLIP.
Expected (paper; mIoU): FLAIR 13.25, FAST 11.30, Potsdam 24.89, FloodNet 28.99, mean 19.61.  Not run by us.
Not in the paper: the image size.  Here RemoteCLIP sees 768 pixels, to which views of 384 are enlarged, so that the grid
stays 24 x 24; GELU is open_clip's, as RemoteCLIP's own example loads it.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(
    clip=dict(
        visual=dict(patch=32, grid=7),
        resolution=768,
        activation="gelu",
        weights="data/weights/RemoteCLIP-ViT-B-32.pt",
    ),
    test_cfg=dict(crop_size=384),
)
