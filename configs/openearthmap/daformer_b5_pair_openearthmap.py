"""DAFormer with MiT-B5, from one continent to another (paper, figure 8).

    python tools/train.py configs/openearthmap/daformer_b5_pair_openearthmap.py

The environment names them, for example SOURCE=AS TARGET=OC; AF, AS, EU, NA, OC, SA, by default EU
to NA. Expected: the figure has no numbers; DAFormer beats SegFormer in 20 of 30 pairs.  Not run by us. Deviations as
of daformer_b5_openearthmap.py; the paper's map of regions to continents is not published.
"""

_base_ = [
    "../_base_/models/daformer_b5.py",
    "../_base_/datasets/adapt_openearthmap_pair.py",
    "../_base_/schedules/adapt_40k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=8))
train_dataloader = dict(
    batch_size=4,
    sampler=dict(counts=[2, 2]),
    dataset=dict(
        rare_classes=dict(),
        source=dict(pipeline={{_base_.rare_pipeline_512}}),
        target=dict(pipeline={{_base_.any_pipeline_512}}),
    ),
)
val_evaluator = [  # of the student and of the teacher
    dict(type="SegmentationMetric"),
    dict(type="SegmentationMetric", field="teacher_sem_seg", prefix="teacher"),
]
work_dir = "work_dirs/openearthmap/daformer_b5_{{$SOURCE:EU}}_{{$TARGET:NA}}"
