"""Mask2Former with ResNet-50 as in the SAMRS release: initial weights overwritten, deformable offsets included.

The release trains it as its other ResNets (`../schedules/sep_80k_resnet.py`) and fine-tunes it by
`../schedules/finetune_80k_mask2former.py`.  Its results are poor (paper, table 3); mask2former_r50.py has the standard
settings.  Not taken over: with its ignore label of 5 on Potsdam's 5 classes, queries never learn to say "none".
"""

_base_ = ["./mask2former_r50.py"]

model = dict(decode_head=dict(release_init=True))
