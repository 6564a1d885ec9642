"""DAFormer with MiT-B5: ISPRS Potsdam to Vaihingen.

    python tools/train.py configs/potsdam/daformer_b5_vaihingen.py

Not run by us. Potsdam is red, green, blue; Vaihingen infrared, red, green.  Rare classes are drawn at temperature
0.1.
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
