"""Fine-tuning between three themes of procedural land cover, as between data sets, at the scale of a CPU."""

_root, _unet = "data/scenes/grid_transfer", "configs/scenes/unet_efficientnet_lite0_scenes.py"
_themes = dict(openearthmap="suburb farmland riverside industry", deepglobe="farmland park", loveda="suburb riverside")
_parts = ("train_dataloader", "val_dataloader", "test_dataloader")
_short = {"train_cfg.max_iters": 20, "train_cfg.val_interval": 5, "default_hooks.checkpoint.interval": 20,
          "param_scheduler.1.T_max": 20, "param_scheduler.1.end": 20}  # fmt: skip
_set = [{f"{part}.dataset.data_root": f"{_root}/{name}" for part in _parts} for name in _themes]
_random = {"model.backbone.init_cfg": None}
_transfer = dict(
    prepare={
        name: f"rsseg scenes landcover {_root}/{name} --theme {own} --in-turn --count 20 --size 128 --val 4 --test 8"
        for name, own in _themes.items()
    },
    rows=[
        dict(name="from scratch", config=_unet),
        dict(name="from OpenEarthMap", config=_unet, options={"load_from": "{openearthmap}"}, minus="from scratch"),
        dict(name="from the other set", config=_unet, options={"load_from": "{{other}}"}, minus="from scratch"),
    ],
    columns=[
        dict(name=name, words=dict(other=other), options=own)
        for (name, other), own in zip((("deepglobe", "loveda"), ("loveda", "deepglobe")), _set[1:], strict=True)
    ],
    start=[
        dict(name=name, config=_unet, options={**own, **_short, **_random})
        for name, own in zip(_themes, _set, strict=True)
    ],
    options={**_short, **_random},
)
