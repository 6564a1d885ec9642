"""Search with SparseMask on OpenEarthMap (OpenEarthMap paper, table 4), the second trial: another seed.

    python tools/search.py configs/openearthmap/sparsemask_trial2_openearthmap.py

How the paper's trials differ is not said; by chance alone, as far as their results tell.  Not run by us.
"""

_base_ = [
    "../_base_/models/sparsemask_search.py",
    "../_base_/datasets/openearthmap_sparsemask.py",
    "../_base_/schedules/sparsemask_64k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
search = dict(retrain="configs/openearthmap/sparsemask_openearthmap.py")
default_hooks = dict(track_architecture=dict(type="mmseg.TrackArchitecture", interval=500))
randomness = dict(seed=2)
