"""Few labels of iSAID from four initialisations, 5, 3 and 1 % (SAMRS paper, table 6).

    python tools/run_grid.py configs/grids/samrs_table6.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/samrs_table6.py --tiny

Expected (paper, 5, 3, 1 %): mIoU 5.33, 5.19, 1.33 for IMP, +13.41, +7.79, +5.71 with SEP.
Not run by us at full size.  The paper has one run of each; three seeds are three choices of tiles.
--tiny: random weights against SEP on procedural scenes, 50 and 25 % of 16 images, docs/results.md.
"""

_base_ = "../_base_/grids/few_scenes.py"

title = "SAMRS, table 6"
metric = "mIoU"
seeds = [0, 1, 2]
_unet = "configs/isaid/unet_r50"
rows = [
    dict(name="IMP", config=f"{_unet}_few_isaid.py"),
    dict(name="IMP+SEP", config=f"{_unet}_few_from_sep_isaid.py", minus="IMP"),
    dict(name="RSP", config=f"{_unet}_rsp_few_isaid.py"),
    dict(name="RSP+SEP", config=f"{_unet}_rsp_few_from_sep_isaid.py", minus="RSP"),
]
columns = [dict(name=f"{share} %", words=dict(share=share)) for share in (5, 3, 1)]
options = ["train_dataloader.dataset.subset=data/splits/isaid/few_{share}_seed{seed}.txt"]
prepare = ["rsseg few-lists data/isaid/tiles/img_dir/train data/splits/isaid"]
test = ["--tta"]
figures = [dict(kind="lines", x=[5, 3, 1], xlabel="share of the labels, %")]
