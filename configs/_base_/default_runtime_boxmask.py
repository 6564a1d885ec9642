"""What every training of a box-to-mask network shares: averaged weights, and a file for the conversion at its end."""

_base_ = ["./default_runtime.py"]

default_hooks = dict(
    checkpoint=dict(interval=100),
    logger=dict(interval=20),
    channels_last=dict(type="mmseg.ChannelsLast"),
    keep_freed_memory=dict(type="mmseg.KeepFreedMemory"),
    average=dict(type="EMAHook", momentum=0.01, update_buffers=True),
    save_boxmask=dict(type="mmseg.SaveBoxMask"),
)
val_evaluator = dict(type="BoxMaskMetric")
tta_model = None
test_cfg = None
test_evaluator = None
