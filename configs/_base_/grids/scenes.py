"""Grids at the scale of a CPU: 16 training and 12 test images of procedural land cover, small networks without weights.

``tiny`` has the data and 20 iterations of each training; a grid adds its rows and columns.
"""

_themes = "--in-turn --theme suburb farmland riverside industry"
_landcover = f"rsseg scenes landcover data/scenes/grid --count 32 --size 128 --val 4 --test 12 --seed 3 {_themes}"
_parts = ("train_dataloader", "val_dataloader", "test_dataloader")
_lite0 = "configs/scenes/unet_efficientnet_lite0_scenes.py"
_second, _first = ({f"param_scheduler.{i}.T_max": 20, f"param_scheduler.{i}.end": 20} for i in (1, 0))
_unet = [dict(name="U-Net", config=_lite0, options={"model.backbone.init_cfg": None, **_second})]
_networks = [
    *_unet,
    dict(name="SegFormer", config="configs/scenes/segformer_small_scenes.py", options=_first, minus="U-Net"),
    dict(name="UPerNet", config="configs/scenes/upernet_tiny_scenes.py", options=_first, minus="U-Net"),
]
tiny = dict(
    prepare=dict(landcover=_landcover),
    seeds=[0, 1],
    start=[],
    test=[],
    options={
        **{f"{part}.num_workers": 0 for part in _parts},
        **{f"{part}.persistent_workers": False for part in _parts},
        **{f"{part}.dataset.data_root": "data/scenes/grid" for part in _parts},
        "train_dataloader.batch_size": 4,
        "train_dataloader.dataset.indices": None,
        "train_cfg.max_iters": 20,
        "train_cfg.val_interval": 20,
        "default_hooks.checkpoint.interval": 20,
    },
)
