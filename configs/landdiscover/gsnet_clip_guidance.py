"""GSNet whose decoder takes guidance of CLIP alone (GSNet paper, table 3, row H).

    python tools/train.py configs/landdiscover/gsnet_clip_guidance.py

Expected (paper; mIoU): FLAIR 17.59, FAST 15.06, Potsdam 35.93, FloodNet 41.31, mean 27.47.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(decoder=dict(guidance=("clip",)))
