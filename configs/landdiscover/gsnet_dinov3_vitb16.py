"""GSNet whose specialist is DINOv3 ViT-B/16 of web images at 768 x 768, frozen (ours), on LandDiscover50K.

    python tools/train.py configs/landdiscover/gsnet_dinov3_vitb16.py

Needs data/weights/ViT-B-16.pt (OpenAI); the specialist's weights come from the hub at the first start, under the DINOv3
licence.  Expected: no published figure; not run by us.  Its grid of 48 x 48 is that of DINO ViT-B/8 at 384 x 384, and
it sees images by its own mean and deviation.  Of satellite images: name and weights
vit_large_patch16_dinov3.sat493m with taps=(7, 15, 23).
"""

_base_ = "./gsnet_vitb16.py"

_name = "vit_base_patch16_dinov3.lvd1689m"
model = dict(dino=dict(_delete_=True, type="DINOv3Specialist", name=_name, weights=f"hf://timm/{_name}"))
