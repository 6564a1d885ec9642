"""GSNet's table 2 and 3: three seeds on four sets; at the scale of a CPU, small towers on procedural scenes."""

_base_ = "./scenes.py"

task = "vocabulary"
seeds = [0, 1, 2]
scores = dict(FLAIR="flair", FAST="fast", Potsdam="potsdam", FloodNet="floodnet", mean="average")
metric = "average"
_config = "configs/scenes/gsnet_tiny_scenes.py"
_cost = {"model.fusion.type": "CostEmbedding"}
_clip_only = {"model.dino": None, "model.decoder.guidance": "[clip]", **_cost}
_gsnet = dict(name="GSNet", config=_config)
_table2 = [_gsnet, dict(name="CAT-Seg", config=_config, options=_clip_only, minus="GSNet")]
_rows = {
    "A": _clip_only,
    "C": {"model.type": "SpecialistGSNet", "model.decoder.guidance": "[dino]", **_cost},
    "E": {},
    "F": {"model.fusion.type": "FusionQuery", "model.fusion.embed": 64},
    "G": {"model.decoder.guidance": "[]"},
    "H": {"model.decoder.guidance": "[clip]"},
    "I": {"model.decoder.guidance": "[dino]"},
}
_concat = "configs/scenes/gsnet_tiny_concat_scenes.py"
_table3 = [
    _gsnet,
    *(
        dict(name=name, config=_concat if name == "E" else _config, options=own, minus="GSNet")
        for name, own in _rows.items()
    ),
]
tiny = dict(task="train", metric="mIoU", scores=dict(mIoU="mIoU", OA="OA"))
