"""A tiny UPerNet on a few per cent of Potsdam, cut into small tiles, from scratch: the few-label grid on a CPU.

    python tools/prepare_data.py potsdam ARCHIVE data/potsdam/small --size 128 --stride 16
    python tools/make_few_labels.py data/potsdam/small/img_dir/train data/splits/potsdam_small
    python tools/run_few_labels.py data/splits/potsdam_small work_dirs/few/potsdam_small --metric mF1
        --init scratch configs/potsdam/upernet_tiny_few_potsdam.py
        --init scratch+SEP configs/potsdam/upernet_tiny_few_from_sep_potsdam.py

Measured on one crop of 512 x 512 (left half trains, right half tests; 5, 3, 1 %; one seed; 60 iterations): mF1 39.59,
36.70, 43.25; from 200 iterations of SEP on boxes of NWPU VHR-10 34.37, 34.92, 41.08.  Cost: 40 s of one core a run.
"""

_base_ = [
    "../_base_/models/upernet_tiny.py",
    "../_base_/datasets/potsdam.py",
    "../_base_/schedules/cpu_300.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5))
root = "data/potsdam/small"
few = dict(subset="data/splits/potsdam_small/few_1_seed0.txt", pipeline={{_base_.train_pipeline_128}}, data_root=root)
train_dataloader = dict(num_workers=1, dataset=few)
val_dataloader = dict(num_workers=1, dataset=dict(data_root=root))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
