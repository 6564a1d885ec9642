"""FasterSeg's supernet of 16 layers with teacher and student, from scratch: 252.0 M parameters with 8 classes."""

_base_ = ["./_unet.py"]

model = dict(
    type="FasterSegSearch",
    backbone=dict(type="FasterSegSupernet", layers=16, base=12),
    decode_head=dict(_delete_=True, type="FasterSegSearchHead", base=12),
    phase="search",
    weight_images=2,
    latency=dict(kind="macs", size=(1024, 2048)),
    latency_weight=0.01,
    pair=(2, 1),
)
find_unused_parameters = True  # of normalisations, only those of the chosen widths are used
