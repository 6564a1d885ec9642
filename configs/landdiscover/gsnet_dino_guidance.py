"""GSNet whose decoder takes guidance of the specialist alone (GSNet paper, table 3, row I).

    python tools/train.py configs/landdiscover/gsnet_dino_guidance.py

Expected (paper; mIoU): FLAIR 17.06, FAST 15.30, Potsdam 36.50, FloodNet 33.09, mean 25.49.  Not run by us.
The aggregator keeps CLIP's features as its guidance, as it is no part of the decoder.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(decoder=dict(guidance=("dino",)))
