"""GSNet whose two streams are fused before they meet the texts (GSNet paper, table 3, row F: "Fusion Q").

    python tools/train.py configs/landdiscover/gsnet_fusion_query.py

Expected (paper; mIoU): FLAIR 8.84, FAST 10.12, Potsdam 24.32, FloodNet 35.92, mean 19.81.  Not run by us.
Not in the paper: how they are fused, and what follows.  Here a linear projection of both, cosines with the texts, and
the 7 x 7 convolution and sigmoid of QGFF.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(fusion=dict(type="FusionQuery"))
