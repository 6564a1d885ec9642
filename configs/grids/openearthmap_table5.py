"""Four networks on a tenth of OpenEarthMap's training images (OpenEarthMap paper, table 5).

    python tools/run_grid.py configs/grids/openearthmap_table5.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/openearthmap_table5.py --tiny

Expected (paper, test list): mIoU 60.18, 51.61, 52.39, 54.33.  Not run by us at full size.  Three seeds are three
tenths; the paper has one.  The test list's labels are not public: scores are those of val.txt.
--tiny: three small networks on 4 of 16 procedural scenes (there is no small K-Net), docs/results.md.
"""

_base_ = "../_base_/grids/scenes.py"

title = "OpenEarthMap, table 5"
scores = {"IoU/*": "IoU/*", "mIoU": "mIoU"}
seeds = [0, 1, 2]
_names = {
    "U-Net-EfficientNet-B4": "unet_effb4", "SegFormer": "segformer_b5", "UPerNet-Swin-B": "upernet_swin_b",
    "K-Net": "knet_swin_b",
}  # fmt: skip
_folder = "configs/openearthmap"
_first = next(iter(_names))
rows = [
    dict(name=name, config=f"{_folder}/{stem}_few_openearthmap.py", minus=None if name == _first else _first)
    for name, stem in _names.items()
]
prepare = ["rsseg split-openearthmap data/openearthmap data/splits/openearthmap --percent 10"]
options = ["train_dataloader.dataset.subset=data/splits/openearthmap/few/few_10_seed{seed}.txt"]
test = ["--tta"]
tiny = dict(rows={{_base_._networks}}, options={"train_dataloader.dataset.indices": 4})
