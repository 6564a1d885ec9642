"""Prompt kinds of SAM on HRSC2016's test images (SAMRS paper, table 1).

    python tools/run_grid.py configs/grids/samrs_table1.py
    python tools/run_grid.py configs/grids/samrs_table1.py --tiny

Expected (paper): mIOU_I 89.97, mIOU_P 79.40 for H-Box, 88.85 and 76.42 for RH-Box, 16.14 and 2.72 for the point.  Not
run with SAM's weights by us.  --tiny: GrabCut and filled boxes on procedural harbours, docs/results.md.
`rsseg ablate` measures all prompts with one encoding of each image, and draws the table in one go.
"""

title = "SAMRS, table 1"
task = "ablate"
metric = "mIOU_I"
scores = dict(mIOU_I="mIOU_I", mIOU_P="mIOU_P")
seeds = [0]
_kinds = [
    "cp", "hbox", "hbox_m", "hbox+hbox_m", "cp+hbox", "cp+hbox_m", "cp+hbox+hbox_m", "rbox_m", "cp+rbox_m", "rhbox",
    "rhbox_m", "rhbox+rhbox_m", "cp+rhbox", "cp+rhbox_m", "cp+rhbox+rhbox_m",
]  # fmt: skip
_ships = "configs/samrs/convert_hrsc.py"
rows = [dict(name=kind, config=_ships, words=dict(prompt=kind, model="sam")) for kind in _kinds]
test = ["--prompts", "{prompt}", "--predictor", "{model}"]
_root, _scenes = "data/scenes/grid_hrsc", "configs/scenes/convert_hrsc_scenes.py"
tiny = dict(
    prepare=[f"rsseg scenes hrsc {_root} --count 6 --size 320 --seed 3"],
    options={
        "source.images": f"{_root}/AllImages", "source.annotations": f"{_root}/Annotations",
        "truth.masks": f"{_root}/LandMask",
    },
    rows=[
        dict(name=f"{name}, {kind}", config=_scenes, words=dict(prompt=kind, model=model))
        for name, model in (("GrabCut", "grabcut"), ("filled box", "box"))
        for kind in ("hbox", "rhbox")
    ],
)  # fmt: skip
