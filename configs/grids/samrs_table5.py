"""Few labels of Potsdam from four initialisations, 5, 3 and 1 % (SAMRS paper, table 5).

    python tools/run_grid.py configs/grids/samrs_table5.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/samrs_table5.py --tiny

Expected (paper, 5, 3, 1 %): mF1 80.45, 75.03, 65.72 for IMP, +1.35, +2.94, +3.98 with SEP.
Not run by us at full size.  The paper has one run of each; three seeds are three choices of tiles.
--tiny: random weights against SEP on procedural scenes, 50 and 25 % of 16 images, docs/results.md.
"""

_base_ = "../_base_/grids/few_scenes.py"

title = "SAMRS, table 5"
metric = "mF1"
seeds = [0, 1, 2]
_unet = "configs/potsdam/unet_r50"
rows = [
    dict(name="IMP", config=f"{_unet}_few_potsdam.py"),
    dict(name="IMP+SEP", config=f"{_unet}_few_from_sep_potsdam.py", minus="IMP"),
    dict(name="RSP", config=f"{_unet}_rsp_few_potsdam.py"),
    dict(name="RSP+SEP", config=f"{_unet}_rsp_few_from_sep_potsdam.py", minus="RSP"),
]
columns = [dict(name=f"{share} %", words=dict(share=share)) for share in (5, 3, 1)]
options = ["train_dataloader.dataset.subset=data/splits/potsdam/few_{share}_seed{seed}.txt"]
prepare = ["rsseg few-lists potsdam data/splits/potsdam"]
test = ["--tta"]
figures = [dict(kind="lines", x=[5, 3, 1], xlabel="share of the labels, %")]
