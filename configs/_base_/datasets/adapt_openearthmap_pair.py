"""Adaptation from one continent to another (paper, figure 8), which the environment names: SOURCE=AS TARGET=OC.

AF, AS, EU, NA, OC, SA; Europe to North America by default.  Lists by tools/split_openearthmap.py.
"""

_base_ = ["./adapt_openearthmap.py"]

lists = "data/splits/openearthmap/continents"
train_dataloader = dict(
    dataset=dict(
        source=dict(subset=f"{lists}/{{$SOURCE:EU}}_train.txt"), target=dict(subset=f"{lists}/{{$TARGET:NA}}_train.txt")
    )
)
val_dataloader = dict(dataset=dict(subset=f"{lists}/{{$TARGET:NA}}_val.txt"))
test_dataloader = val_dataloader
