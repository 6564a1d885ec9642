"""S-CNN: three convolutions of 32, 32 and 64 filters, a layer of 128, and one that scores the classes.

7,425,035 parameters with 3 bands and 43 classes, 7,432,235 with 12 bands.
"""

model = dict(
    type="Classifier",
    backbone=dict(type="SCNN"),
    head=dict(type="HiddenMultiLabelHead", in_channels=64 * 30 * 30),  # of patches of 120 x 120
)
