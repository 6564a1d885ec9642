"""SEP of UPerNet Swin-T on SOTA, SIOR and FAST as released, not on labels converted here (SAMRS paper, section 4.1).

    tools/dist_train.sh configs/samrs/upernet_swin_sep_released.py 8

Unpack the release into data/samrs/released and write train.txt and valid.txt of each set, one stem a line: the release
leaves the split to its users.  Batch, schedule and expected result (paper, table 3: after fine-tuning on Potsdam
OA 91.88, mF1 92.23) as in upernet_swin_sep.py.  Not run by us.

Deviations: as in upernet_swin_sep.py, but for the split, which is yours.
"""

_base_ = [
    "../_base_/models/upernet_swin.py",
    "../_base_/datasets/samrs_released.py",
    "../_base_/schedules/sep_80k.py",
    "../_base_/default_runtime.py",
]

model = dict(type="MultiHeadSegmentor", heads=dict(sota=18, sior=20, fast=37))
train_dataloader = dict(batch_size=12, num_workers=8)
