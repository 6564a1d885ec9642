"""GSNet on LandDiscover50K's pairs of OpenEarthMap alone (GSNet paper, Table 4).

    python tools/train.py configs/landdiscover/gsnet_vitb16_openearthmap.py

The vocabulary stays that of all 40 classes.  tools/build_landdiscover.py writes the list.
Expected (paper; mIoU): FLAIR 13.85, FAST 7.41, Potsdam 17.76, FloodNet 20.09.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

train_dataloader = dict(dataset=dict(subset="data/landdiscover/lists/openearthmap.txt"))
