"""Methods of domain adaptation on procedural scenes of six regions, at the scale of a CPU: 10 iterations."""

_root = "data/scenes/grid_domains"
_stems = {
    "oracle": "oracle", "source only": "source_only", "MCD (MMD)": "mmd", "AdaptSeg": "adaptseg", "FADA": "fada",
    "CLAN": "clan", "TransNorm": "transnorm", "PyCDA": "pycda", "CBST": "cbst", "IAST": "iast", "DAFormer": "daformer",
}  # fmt: skip
_later = {"model.adaptation.start": 4, "model.adaptation.interval": 3}
_places = ("train_dataloader.dataset.source", "train_dataloader.dataset.target", "val_dataloader.dataset",
           "test_dataloader.dataset")  # fmt: skip
tiny = dict(
    prepare=dict(scenes=f"rsseg scenes domains {_root} --count 48 --size 128 --val 4 --test 12 --seed 3", lists=None),
    rows=[
        dict(name=name, config=f"configs/scenes/deeplab_v2_lite0_{stem}_scenes.py",
             options=_later if stem in ("cbst", "iast") else {}, minus=None if stem == "source_only" else "source only")
        for name, stem in _stems.items()
    ],
    seeds=[0, 1],
    options={
        **{f"{place}.data_root": _root for place in _places},
        "model.backbone.init_cfg": None,
        "train_cfg.max_iters": 10, "train_cfg.val_interval": 10, "default_hooks.checkpoint.interval": 10,
    },
)  # fmt: skip
