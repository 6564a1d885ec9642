"""Open vocabularies after training on LandDiscover50K, with seeds (GSNet paper, table 2).

    python tools/run_grid.py configs/grids/gsnet_table2.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/gsnet_table2.py --tiny

Expected (paper; mIoU): GSNet 20.00, 16.61, 45.75, 42.63, mean 31.25; those of all fifteen rows are in
configs/landdiscover/README.md.  Not run with published weights by us.  The paper has one run of each row, and does not
say how the others than GSNet were trained: see their configs.
--tiny: GSNet and CAT-Seg with small towers from scratch on procedural scenes, docs/results.md.
"""

_base_ = "../_base_/grids/vocabulary.py"

title = "GSNet, table 2"
_names = {
    "CAT-Seg, from COCO": "catseg_vitb16_from_coco", "SAN, from COCO": "san_vitb16_from_coco",
    "CAT-Seg": "catseg_vitb16", "CAT-Seg, RemoteCLIP": "catseg_remoteclip_vitb32", "SAN": "san_vitb16",
    "SCAN, from COCO": "scan_vitb16_from_coco", "SCAN": "scan_vitb16", "SCAN, RemoteCLIP": "scan_remoteclip_vitb32",
    "OV-Seg, from COCO": "ovseg_vitb16_from_coco", "OV-Seg": "ovseg_vitb16",
    "SED, from COCO": "sed_convnextb_from_coco", "SED": "sed_convnextb",
    "EBSeg, from COCO": "ebseg_vitb16_from_coco", "EBSeg": "ebseg_vitb16",
}  # fmt: skip
rows = [
    dict(name="GSNet", config="configs/landdiscover/gsnet_vitb16.py"),
    *(dict(name=name, config=f"configs/landdiscover/{stem}.py", minus="GSNet") for name, stem in _names.items()),
]
tiny = dict(rows={{_base_._table2}})
