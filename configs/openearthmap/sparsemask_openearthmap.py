"""SparseMask's derived network on OpenEarthMap (OpenEarthMap paper, table 4), with the authors' mask for PASCAL VOC.

    python tools/train.py configs/openearthmap/sparsemask_openearthmap.py

The masks of the paper's two trials do not come with rsseg: a search of your own writes its own config with this one as
its base, see sparsemask_trial1_openearthmap.py.  Expected (paper, its own masks, test list): mIoU 58.23 and 58.06,
60.21 and 60.00 with flips; 2.96 and 3.10 M parameters (here 2.785).  Not run by us.  See README.md in this folder.
"""

_base_ = [
    "../_base_/models/sparsemask.py",
    "../_base_/datasets/openearthmap_sparsemask.py",
    "../_base_/schedules/sparsemask_64k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
