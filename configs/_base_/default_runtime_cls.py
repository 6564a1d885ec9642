"""What every run with labels per image shares: MMSegmentation's runtime under mmpretrain's scope, by epochs."""

_base_ = ["./default_runtime.py"]

default_scope = "mmpretrain"
custom_imports = dict(
    imports=[
        "rsseg.datasets.bigearthnet",
        "rsseg.models.multilabel",
        "rsseg.evaluation.multilabel",
        "rsseg.engine",
    ]
)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=1, save_best="F2", rule="greater"),
)
custom_hooks = [dict(type=f"mmseg.{name}") for name in ("SeedEachIter", "ShareBuffers")]
visualizer = dict(type="UniversalVisualizer")
log_processor = dict(by_epoch=True)
tta_model = dict(_delete_=True, type="AverageClsScoreTTA")
val_evaluator = dict(type="LabelScores")
test_evaluator = dict(type="LabelScores")
