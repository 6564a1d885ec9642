"""GSNet on LandDiscover50K's pairs of DeepGlobe alone (GSNet paper, Table 4).

    python tools/train.py configs/landdiscover/gsnet_vitb16_deepglobe.py

The vocabulary stays that of all 40 classes.  tools/build_landdiscover.py writes the list.
Expected (paper; mIoU): FLAIR 6.11, FAST 12.38, Potsdam 21.26, FloodNet 11.56.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

train_dataloader = dict(dataset=dict(subset="data/landdiscover/lists/deepglobe.txt"))
