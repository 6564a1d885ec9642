"""Mask2Former with ResNet-50 as in the SAMRS release: initial weights overwritten, deformable offsets included.

The release trains it as its other ResNets (`../schedules/sep_80k_resnet.py`: AdamW 1e-3, weight decay 0.05, clipped to
5) and fine-tunes it with `../schedules/mask2former_80k.py`, but cosine and 1e-4 for the backbone too, as its key for it
never matches.  Its results are poor (paper, table 3); mask2former_r50.py has the standard settings.
Not taken over: in the release's fine-tuning an ignore label of 5 with 5 classes also ignores the class "none".
"""

_base_ = ["./mask2former_r50.py"]

model = dict(decode_head=dict(release_init=True))
