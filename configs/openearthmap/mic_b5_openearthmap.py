"""MIC on DAFormer with MiT-B5: OpenEarthMap, 73 regions to 24 others (paper, table 6).

    python tools/train.py configs/openearthmap/mic_b5_openearthmap.py

Expected: not in the paper.  Not run by us. As daformer_b5_openearthmap.py, and the student must say of the target
with 70 % of its blocks hidden what the teacher says of all of it.
"""

_base_ = ["./daformer_b5_openearthmap.py"]

model = dict(adaptation=dict(type="MIC"))
