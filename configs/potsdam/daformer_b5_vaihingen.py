"""DAFormer with MiT-B5: ISPRS Potsdam to Vaihingen.

    python tools/train.py configs/potsdam/daformer_b5_vaihingen.py

Not run by us. Potsdam is red, green, blue; Vaihingen infrared, red, green. Rare classes are drawn at temperature 0.1;
DAFormer's is 0.01 (train_dataloader.dataset.rare_classes.release_defects=True). Classes to mix are drawn from those
of each image, and a resumed run keeps its teacher; in the release from those of the batch, and it copies the student
(model.adaptation.release_defects=True).
"""

_base_ = [
    "../_base_/models/daformer_b5.py",
    "../_base_/datasets/adapt_potsdam.py",
    "../_base_/schedules/adapt_40k.py",
    "../_base_/default_runtime.py",
]

model = dict(decode_head=dict(num_classes=5))
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
