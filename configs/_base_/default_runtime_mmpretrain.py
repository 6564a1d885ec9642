"""default_runtime.py with mmpretrain's backbones registered, for models whose encoder mmseg lacks."""

_base_ = ["./default_runtime.py"]

custom_imports = dict(
    imports=["rsseg.datasets", "rsseg.models", "rsseg.models.unet_encoders", "rsseg.evaluation", "rsseg.engine"]
)
