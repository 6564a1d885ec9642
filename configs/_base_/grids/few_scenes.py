"""Few labels at the scale of a CPU: a U-Net from random weights, and from SEP on three converted sets of scenes."""

_base_ = "./scenes.py"

_layouts = dict(dota="sota", dior="sior", fair1m="fast")
_root, _quiet = "data/scenes/grid", "--cfg-options truth=None"
_unet = "configs/scenes/unet_efficientnet_lite0"
_cosine = {"param_scheduler.1.T_max": 20, "param_scheduler.1.end": 20}
_random = {"model.backbone.init_cfg": None}
_images = dict(dota="images", dior="JPEGImages-trainval", fair1m="images")
_labels = dict(dota="labelTxt", dior="Annotations/Horizontal Bounding Boxes", fair1m="labelXml")
_sets = {
    f"{part}_dataloader.dataset.datasets.{i}.data_root": f"{_root}_{name}"
    for part in ("train", "val", "test")
    for i, name in enumerate(_layouts.values())
}
_length = {"train_cfg.max_iters": 20, "train_cfg.val_interval": 20, "default_hooks.checkpoint.interval": 20}
tiny = dict(
    prepare={
        "lists": f"rsseg few-lists {_root}/train.txt {_root}_few --percent 50 25 --seeds 0 1",
        **{f"scenes_{own}": f"rsseg scenes {own} {_root}_{own} --count 4 --size 256 --seed 3" for own in _layouts},
        **{
            own: f"rsseg convert configs/scenes/convert_{own}_scenes.py --predictor box --out {_root}_{name}"
            f" --images {_root}_{own}/{_images[own]} --annotations '{_root}_{own}/{_labels[own]}' {_quiet}"
            for own, name in _layouts.items()
        },
    },
    start=[dict(name="sep", config=f"{_unet}_sep_scenes.py", options={**_sets, **_random, **_length, **_cosine})],
    rows=[
        dict(name="random", config=f"{_unet}_scenes.py", options={**_random, **_cosine}),
        dict(name="random+SEP", config=f"{_unet}_few_from_sep_scenes.py", minus="random",
             options={"default_hooks.start.checkpoint": "{sep}", **_cosine}),
    ],
    columns=[dict(name=f"{share} %", words=dict(share=share)) for share in (50, 25)],
    options={"train_dataloader.dataset.subset": f"{_root}_few/few_{{share}}_seed{{seed}}.txt"},
    figures=[dict(kind="lines", x=[50, 25], xlabel="share of the labels, %")],
)  # fmt: skip
