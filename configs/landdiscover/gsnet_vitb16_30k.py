"""GSNet on 30,000 random pairs of LandDiscover50K (GSNet paper, fig. 5).

    python tools/train.py configs/landdiscover/gsnet_vitb16_30k.py

tools/build_landdiscover.py writes the list, by seed; smaller lists are part of larger ones.  Another seed:
--cfg-options train_dataloader.dataset.subset=data/landdiscover/lists/30k_seed1.txt
Expected: the paper draws a curve without numbers and does not say which pairs.  Not run by us.
"""

_base_ = "./gsnet_vitb16.py"

train_dataloader = dict(dataset=dict(subset="data/landdiscover/lists/30k_seed0.txt"))
