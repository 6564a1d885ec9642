"""GSNet on LandDiscover50K's pairs of SOTA alone (GSNet paper, Table 4).

    python tools/train.py configs/landdiscover/gsnet_vitb16_sota.py

The vocabulary stays that of all 40 classes.  tools/build_landdiscover.py writes the list.
Expected (paper; mIoU): FLAIR 12.91, FAST 18.70, Potsdam 14.94, FloodNet 14.33.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

train_dataloader = dict(dataset=dict(subset="data/landdiscover/lists/sota.txt"))
