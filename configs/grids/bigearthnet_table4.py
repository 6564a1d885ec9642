"""Three networks on the labels of CLC's levels 3, 2 and 1 (BigEarthNet paper, table 4 and section 4).

    python tools/run_grid.py configs/grids/bigearthnet_table4.py --gpus 0,1,2,3
    python tools/run_grid.py configs/grids/bigearthnet_table4.py --tiny

Expected (paper, level 3): F1 49.88, 67.59, 70.98; at levels 1 and 2 the same order, with p well below 0.0001 for all
metrics.  Not run by us on the archive.  The p-values are those of the test patches.
--tiny: two epochs on the sample patches in data/bigearthnet_v1, docs/results.md.
"""

title = "BigEarthNet, table 4"
metric = "F1"
scores = dict(P="P", R="R", F1="F1", F2="F2")
seeds = [0]
_levels = (("level 3", "level3", 43), ("level 2", "level2", 15), ("level 1", "level1", 5))
_parts = ("train_dataloader", "val_dataloader", "test_dataloader")
columns = [
    dict(name=name, options={"model.head.num_classes": count, **{f"{part}.dataset.labels": level for part in _parts}})
    for name, level, count in _levels
]
rows = [
    dict(name="Inception-v2", config="configs/bigearthnet/inception_v2_rgb.py"),
    dict(name="S-CNN-RGB", config="configs/bigearthnet/scnn_rgb.py", minus="Inception-v2"),
    dict(name="S-CNN-All", config="configs/bigearthnet/scnn_all.py", minus="S-CNN-RGB"),
]
_loader = dict(batch_size=2, num_workers=0, persistent_workers=False)
_quick = {f"{part}.{key}": value for part in _parts for key, value in _loader.items()}
_short = {"train_cfg.max_epochs": 2, "model.backbone.init_cfg": None, "default_hooks.checkpoint.interval": 2}
tiny = dict(options={**_quick, **_short})
