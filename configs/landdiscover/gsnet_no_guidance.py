"""GSNet whose decoder sees the classes' embedding alone (GSNet paper, table 3, row G).

    python tools/train.py configs/landdiscover/gsnet_no_guidance.py

Expected (paper; mIoU): FLAIR 17.70, FAST 13.57, Potsdam 38.39, FloodNet 35.91, mean 26.39.  Not run by us.
Not in the paper: the aggregator keeps CLIP's features as its guidance, as it is no part of the decoder.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(decoder=dict(guidance=()))
