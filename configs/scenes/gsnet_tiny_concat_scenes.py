"""The small GSNet with features and texts one after the other in place of QGFF (GSNet paper, table 3, row E), on a CPU.

    python tools/train.py configs/scenes/gsnet_tiny_concat_scenes.py

Data and cost as for gsnet_tiny_scenes.py.  A row of configs/grids/gsnet_table3.py with --tiny.
"""

_base_ = "./gsnet_tiny_scenes.py"

model = dict(fusion=dict(_delete_=True, type="ConcatFusion", embed=64, channels=32))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"fusion.conv": dict(_delete_=True, lr_mult=1)}))
