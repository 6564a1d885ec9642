"""Domain adaptation across OpenEarthMap's regions: eight methods on DeepLabV2, DAFormer on SegFormer (paper, table 6).

    python tools/run_grid.py configs/grids/openearthmap_table6.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/openearthmap_table6.py --tiny

Expected (paper, target_test.txt, whose labels are not public): mIoU 50.01 source only, 54.65 oracle, 53.46 IAST; with
SegFormer 59.32, 64.99, 62.35 DAFormer.  Not run by us at full size; scores are those of target_val.txt, differences
those to DeepLabV2's source only.
--tiny: all methods on procedural scenes, 10 iterations; `rsseg methods` trains 100, docs/results.md.
"""

_base_ = "../_base_/grids/domains.py"

title = "OpenEarthMap, table 6"
scores = {"IoU/*": "IoU/*", "mIoU": "mIoU"}
oracle = "oracle"
seeds = [0, 1, 2]
_names = {
    "oracle": "oracle", "source only": "source_only", "MCD (MMD)": "mmd", "AdaptSeg": "adaptseg", "FADA": "fada",
    "CLAN": "clan", "TransNorm": "transnorm", "PyCDA": "pycda", "CBST": "cbst", "IAST": "iast",
}  # fmt: skip
_path = "configs/openearthmap/{}_openearthmap.py".format
_based = {name: f"deeplab_v2_r50_{stem}" for name, stem in _names.items()}
_based |= {"SegFormer, oracle": "segformer_b5_oracle", "SegFormer, source only": "segformer_b5_source_only"}
_based |= {"SegFormer, DAFormer": "daformer_b5"}
rows = [
    dict(name=name, config=_path(stem), minus=None if name == "source only" else "source only")
    for name, stem in _based.items()
]
prepare = dict(lists="rsseg split-openearthmap data/openearthmap data/splits/openearthmap")
test = ["--out", "{folder}/maps"]
figures = [dict(kind="maps")]
