"""GSNet that sees images through the specialist alone (GSNet paper, table 3, row C: RSIB alone).

    python tools/train.py configs/landdiscover/gsnet_dino_only.py

Expected (paper; mIoU): FLAIR 3.87, FAST 2.63, Potsdam 14.65, FloodNet 6.74, mean 6.98.  Not run by us.
Not in the paper: what guides the aggregator.  Here the specialist's features, brought to CLIP's grid and channels as
for QGFF; CLIP's tower for texts is trained as always, that for images is in the model but never run.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(
    type="SpecialistGSNet",
    fusion=dict(type="CostEmbedding", sigmoid=True),
    decoder=dict(guidance=("dino",)),
)
