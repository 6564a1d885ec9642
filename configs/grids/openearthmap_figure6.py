"""Annotators against a model trained on 10 to 100 % of the images (OpenEarthMap paper, figure 6).

    python tools/run_grid.py configs/grids/openearthmap_figure6.py --gpus 0,1,2,3
    python tools/compare_labels.py FIRST SECOND data/openearthmap_twice --table openearthmap
    python tools/run_grid.py configs/grids/openearthmap_figure6.py --tables

The second command measures how far two annotations of the same images agree, which the figure shows as a broken line.
Expected (paper): from 50 % on UPerNet-Swin-B is as good as annotators.  Not run by us at full size.  Deviations: the
200 images that were labelled twice are not public; here val.txt tests, all of train.txt is 100 %; every share trains as
long as all of it.  --tiny: a small U-Net on procedural scenes, docs/results.md.
"""

_base_ = "../_base_/grids/scenes.py"

title = "OpenEarthMap, figure 6"
seeds = [0]
_swin = "configs/openearthmap/upernet_swin_b_openearthmap.py"
rows = [dict(name="UPerNet-Swin-B", config=_swin, options={"train_dataloader.dataset.ann_file": "''"})]
columns = [dict(name=f"{share} %", words=dict(share=share)) for share in range(10, 101, 10)]
_percents = "10 20 30 40 50 60 70 80 90 100"
prepare = dict(lists=f"rsseg split-openearthmap data/openearthmap data/splits/openearthmap --percent {_percents}")
options = {"train_dataloader.dataset.subset": "data/splits/openearthmap/few/few_{share}_seed{seed}.txt"}
test = ["--tta"]
_human = {"two annotators": "data/openearthmap_twice/classes.csv"}
_lines = dict(kind="lines", xlabel="training images, %", scores=["mIoU", "IoU/*"], references=_human)
figures = [dict(x=list(range(10, 101, 10)), **_lines)]
_few = "rsseg few-lists data/scenes/grid/train.txt data/scenes/grid_shares --percent 25 50 100 --seeds 0 1"
tiny = dict(
    prepare=dict(lists=_few),
    rows={{_base_._unet}},
    columns=[dict(name=f"{share} %", words=dict(share=share)) for share in (25, 50, 100)],
    options={"train_dataloader.dataset.subset": "data/scenes/grid_shares/few_{share}_seed{seed}.txt"},
    figures=[dict(x=[25, 50, 100], **_lines)],
)
