"""Adaptation between six themes of procedural land cover, as between continents, at the scale of a CPU."""

_root, _themes = "data/scenes/grid_pairs", ("port", "suburb", "farmland", "industry", "park", "riverside")
_make = f"rsseg scenes landcover {_root}/{{0}} --theme {{0}} --count 10 --size 128 --val 2 --test 4"
_random = {"model.backbone.init_cfg": None}
_both = {f"train_dataloader.dataset.{side}.ann_file": "train.txt" for side in ("source", "target")}
_both |= {"val_dataloader.dataset.ann_file": "val.txt", "test_dataloader.dataset.ann_file": "test.txt"}
_both |= {"train_dataloader.dataset.source.data_root": f"{_root}/{{a}}"}
_places = ("train_dataloader.dataset.target", "val_dataloader.dataset", "test_dataloader.dataset")
_both |= {f"{place}.data_root": f"{_root}/{{b}}" for place in _places}
_short = {"train_cfg.max_iters": 3, "train_cfg.val_interval": 3, "default_hooks.checkpoint.interval": 3}
_pairs = dict(
    prepare={theme: _make.format(theme) for theme in _themes},
    rows=[
        dict(name="U-Net", config="configs/scenes/unet_lite0_source_only_scenes.py"),
        dict(name="DeepLabV2", config="configs/scenes/deeplab_v2_lite0_source_only_scenes.py", minus="U-Net"),
        dict(name="DAFormer", config="configs/scenes/unet_lite0_daformer_scenes.py", minus="U-Net",
             options={"train_dataloader.batch_size": 4, "train_dataloader.sampler.counts": [2, 2]}),
    ],
    columns=[dict(name=f"{a}-{b}", words=dict(a=a, b=b)) for a in _themes for b in _themes if a != b],
    options={**_random, **_both, **_short},
)  # fmt: skip
