"""Search with SparseMask on OpenEarthMap (OpenEarthMap paper, table 4), the first trial.

    python tools/search.py configs/openearthmap/sparsemask_trial1_openearthmap.py

It writes architecture.json and retrain.py into its work dir; python tools/train.py on the latter trains what was found.
Settings are those of SparseMask's release, for the paper says no others; see README.md in this folder.  Not run by us.
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
randomness = dict(seed=1)
