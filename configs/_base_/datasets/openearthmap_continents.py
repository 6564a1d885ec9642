"""OpenEarthMap across continents (paper, fig. 8): Europe trains, North America tests; others by the names of lists.

Lists by tools/split_openearthmap.py: continents/<code>_{train,val,test}.txt with AF, AS, EU, NA, OC, SA.
"""

_base_ = ["./openearthmap.py"]

lists = "data/splits/openearthmap/continents"
train_dataloader = dict(dataset=dict(ann_file="", subset=f"{lists}/EU_train.txt"))
val_dataloader = dict(dataset=dict(ann_file="", subset=f"{lists}/NA_val.txt"))
test_dataloader = val_dataloader
