"""Running: launch on any machine, checkpoints, hooks, optimizer wrappers."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "adaptation": ["AdaptationHook", "AdaptationPictures"],
        "checkpoint": ["load_file", "load_pretrained"],
        "classes": ["fit_classes"],
        "checks": ["CheckClasses", "CheckLoss", "CheckScores", "check_finite"],
        "hooks": ["ChannelsLast", "CompileBackbone", "LoadPretrained", "LoadTested", "SeedEachIter", "ShareBuffers"],
        "launch": ["prepare_config", "start_processes"],
        "layer_decay": ["LayerDecayConstructor"],
        "naming": ["NameOutputs"],
        "optim": ["AdaptationOptimizers", "AutocastOptimWrapper", "JointOptimWrapper"],
        "pictures": ["LogTestScores", "SampleVisualizationHook", "SavePictures"],
        "pixels": ["KeepPixels", "check_statistics"],
        "processes": ["AllocateSteps", "KeepProcesses"],
        "saving": ["naming_full_disk"],
        "schedules": ["WarmupPoly"],
        "self_distillation": ["SelfDistillation"],
        "trackers": ["TRACKERS", "use_trackers"],
        "validation_hooks": ["ResumableBestCheckpoint", "ValidationLoss"],
        "vocabulary": ["AskTestClasses"],
    },
    registering=[
        "adaptation",
        "checks",
        "hooks",
        "layer_decay",
        "naming",
        "optim",
        "pictures",
        "pixels",
        "processes",
        "saving",
        "schedules",
        "self_distillation",
        "validation_hooks",
        "vocabulary",
    ],
    stack=["checkpoint", "classes"],
)
