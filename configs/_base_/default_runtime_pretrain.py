"""What every MMPretrain run here shares: the runtime of MMSegmentation runs under mmpretrain's scope, no validation."""

_base_ = ["./default_runtime.py"]

default_scope = "mmpretrain"
custom_imports = dict(imports=["rsseg.datasets", "rsseg.models", "rsseg.engine", "rsseg.engine.pretraining"])
custom_hooks = [dict(type="mmseg.SeedEachIter")]
visualizer = dict(type="UniversalVisualizer")
tta_model = None
val_cfg = None
test_cfg = None
val_evaluator = None
test_evaluator = None
