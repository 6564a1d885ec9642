"""GSNet on LandDiscover50K's pairs of LoveDA alone (GSNet paper, Table 4).

    python tools/train.py configs/landdiscover/gsnet_vitb16_loveda.py

The vocabulary stays that of all 40 classes.  tools/build_landdiscover.py writes the list.
Expected (paper; mIoU): FLAIR 8.92, FAST 10.32, Potsdam 18.87, FloodNet 7.67.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

train_dataloader = dict(dataset=dict(subset="data/landdiscover/lists/loveda.txt"))
