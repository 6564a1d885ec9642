"""Fine-tuning on DeepGlobe and LoveDA from other sets, score after each epoch, three seeds (OpenEarthMap, figure 9).

    python tools/run_grid.py configs/grids/openearthmap_figure9.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/openearthmap_figure9.py --tiny

Expected (paper; the figure has no numbers): both sets begin and end higher from OpenEarthMap than from scratch.  Not
run by us at full size.  curves.png shows mean and standard deviation of three runs over 20 epochs.
--tiny: U-Nets between three themes of procedural scenes, docs/results.md.
"""

_base_ = "../_base_/grids/transfer.py"

title = "OpenEarthMap, figure 9"
curve = True
seeds = [0, 1, 2]
_start = "default_hooks.start.checkpoint"
_config = "configs/{data}/unet_effb4{start}_{data}.py"
rows = [
    dict(name="from scratch", config=_config, words=dict(start=""), options={"model.backbone.init_cfg": None}),
    dict(name="from OpenEarthMap", config=_config, words=dict(start="_from_openearthmap"), minus="from scratch",
         options={_start: "{openearthmap}"}),
    dict(name="from the other set", config=_config, words=dict(start="_from_{other}"), minus="from scratch",
         options={_start: "{{other}}"}),
]  # fmt: skip
columns = [
    dict(name=name, words=dict(data=name, other=other), options={
        "train_cfg.max_iters": 20 * epoch, "train_cfg.val_interval": epoch, "param_scheduler.0.end": 20 * epoch})
    for name, other, epoch in (("deepglobe", "loveda", 321), ("loveda", "deepglobe", 315))
]  # fmt: skip
_sets = ("openearthmap", "loveda", "deepglobe")
start = [dict(name=name, config=f"configs/{name}/unet_effb4_{name}.py") for name in _sets]
figures = [dict(kind="curves")]
tiny = {{_base_._transfer}}
