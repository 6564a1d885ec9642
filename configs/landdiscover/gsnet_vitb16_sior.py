"""GSNet on LandDiscover50K's pairs of SIOR alone (GSNet paper, Table 4).

    python tools/train.py configs/landdiscover/gsnet_vitb16_sior.py

The vocabulary stays that of all 40 classes.  tools/build_landdiscover.py writes the list.
Expected (paper; mIoU): FLAIR 13.26, FAST 13.93, Potsdam 13.80, FloodNet 14.47.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

train_dataloader = dict(dataset=dict(subset="data/landdiscover/lists/sior.txt"))
