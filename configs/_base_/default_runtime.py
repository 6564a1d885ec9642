"""What every MMSegmentation run here shares: registration, logging, checkpoints, repeatable randomness."""

default_scope = "mmseg"
custom_imports = dict(
    imports=["rsseg.datasets", "rsseg.models", "rsseg.evaluation", "rsseg.engine"], allow_failed_imports=False
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    # two: the older one is deleted before the new one is written
    checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=4000, max_keep_ckpts=2),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    runtime_info=dict(type="RuntimeInfoHook"),
    visualization=dict(type="mmseg.SampleVisualizationHook"),  # draws nothing before a tool says so
    # whoever starts the run
    ask_test_classes=dict(type="mmseg.AskTestClasses"),
    allocate_steps=dict(type="mmseg.AllocateSteps"),
    check_classes=dict(type="mmseg.CheckClasses"),
    check_scores=dict(type="mmseg.CheckScores"),
    keep_pixels=dict(type="mmseg.KeepPixels"),
    keep_processes=dict(type="mmseg.KeepProcesses"),
    name_outputs=dict(type="mmseg.NameOutputs"),
)
custom_hooks = [dict(type="SeedEachIter"), dict(type="ShareBuffers")]
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(type="SegLocalVisualizer", vis_backends=vis_backends, name="visualizer")
log_processor = dict(by_epoch=False)
log_level = "INFO"
load_from = None
resume = False
randomness = dict(seed=2023)
tta_model = dict(type="FlipsModel")
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
val_evaluator = dict(type="SegmentationMetric")
test_evaluator = dict(type="SegmentationMetric")
