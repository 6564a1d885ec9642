"""GSNet with features and texts one after the other in place of QGFF (GSNet paper, table 3, row E: "Cat").

    python tools/train.py configs/landdiscover/gsnet_concat.py

Expected (paper; mIoU): FLAIR 14.47, FAST 10.18, Potsdam 18.57, FloodNet 32.37, mean 18.90.  Not run by us.
Not in the paper: the lengths of what is concatenated.  Here each of the three is of length 1.
"""

_base_ = "./gsnet_vitb16.py"

model = dict(fusion=dict(type="ConcatFusion"))
