"""Three methods from each continent to each other one: 30 pairs (OpenEarthMap paper, figure 8).

    python tools/run_grid.py configs/grids/openearthmap_figure8.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/openearthmap_figure8.py --tiny

Expected (paper; the figure has no numbers): SegFormer is better than U-Net in 26 of 30 pairs, DAFormer better than
SegFormer in 20.  Not run by us at full size.  pairs.png has a matrix for each method.
--tiny: three methods between six themes of procedural scenes, one seed, 3 iterations, docs/results.md.
"""

_base_ = "../_base_/grids/pairs.py"

title = "OpenEarthMap, figure 8"
seeds = [0]
transpose = True
_folder = "configs/openearthmap"
rows = [
    dict(name="U-Net-EfficientNet-B4", config=f"{_folder}/unet_effb4_pair_openearthmap.py"),
    dict(name="SegFormer", config=f"{_folder}/segformer_b5_pair_openearthmap.py", minus="U-Net-EfficientNet-B4"),
    dict(name="DAFormer", config=f"{_folder}/daformer_b5_pair_openearthmap.py", minus="SegFormer"),
]
_codes = ("AF", "AS", "EU", "NA", "OC", "SA")
columns = [dict(name=f"{a}-{b}", environment=dict(SOURCE=a, TARGET=b)) for a in _codes for b in _codes if a != b]
prepare = dict(lists="rsseg split-openearthmap data/openearthmap data/splits/openearthmap")
figures = [dict(kind="pairs")]
tiny = {{_base_._pairs}}
