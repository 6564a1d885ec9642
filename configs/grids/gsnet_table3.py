"""GSNet without one of its parts, with seeds (GSNet paper, table 3).

    python tools/run_grid.py configs/grids/gsnet_table3.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/gsnet_table3.py --tiny

Expected (paper; mean mIoU): A 27.90, B 19.88, C 6.98, D 19.61, E 18.90, F 19.81, G 26.39, H 27.47, I 25.49,
GSNet 31.25.  Not run with published weights by us.  The paper has one run of each row.
--tiny: small towers from scratch on procedural scenes (rows B and D need RemoteCLIP), docs/results.md.
"""

_base_ = "../_base_/grids/vocabulary.py"

title = "GSNet, table 3"
_names = {
    "A": "gsnet_clip_only", "B": "catseg_remoteclip_vitb32", "C": "gsnet_dino_only", "D": "gsnet_remoteclip_vitb32",
    "E": "gsnet_concat", "F": "gsnet_fusion_query", "G": "gsnet_no_guidance", "H": "gsnet_clip_guidance",
    "I": "gsnet_dino_guidance",
}  # fmt: skip
rows = [
    dict(name="GSNet", config="configs/landdiscover/gsnet_vitb16.py"),
    *(dict(name=name, config=f"configs/landdiscover/{stem}.py", minus="GSNet") for name, stem in _names.items()),
]
tiny = dict(rows={{_base_._table3}})
