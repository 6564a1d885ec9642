"""Pipelines and loaders of every segmentation dataset; a dataset's own file adds type and paths.

Images are red, green and blue of 8 bits.  For others a config sets ``bands`` and ``value_range`` (of LoadImage) once.
"""

bands, value_range = None, None

meta_keys = (
    "img_path", "seg_map_path", "ori_shape", "img_shape", "pad_shape", "scale_factor", "flip", "flip_direction",
    "reduce_zero_label", "dataset_name", "table", "positions",
)  # fmt: skip
test_keys = (*meta_keys, "valid")  # predictions have no class where an image has no data
load_image = dict(type="LoadImage")  # which gets bands and value_range from above
load_window = dict(type="LoadImage", windows=True)  # of tiled TIFFs only what a crop takes; the pixels are the same


def _train(crop):
    """Our own augmentations, for crops of crop x crop pixels."""
    return [
        load_window,
        dict(type="LoadLabels"),
        dict(type="RandomScale", low=0.5, high=2.0, prob=0.5),
        dict(type="RandomCrop", crop_size=(crop, crop)),
        dict(type="RandomFlip", prob=0.5, direction="horizontal"),
        dict(type="RandomFlip", prob=0.5, direction="vertical"),
        dict(type="RandomRotate90", prob=0.5),
        dict(type="RandomColorJitter", prob=0.3),
        dict(type="Pad", size=(crop, crop), pad_val=dict(img=0, seg=255)),
        dict(type="PackSegInputs", meta_keys=meta_keys),
    ]


def _turns(crop):
    """Flips and quarter turns alone: for trainings that are too short to profit from other scales and colours."""
    return [
        load_window,
        dict(type="LoadLabels"),
        dict(type="RandomCrop", crop_size=(crop, crop)),
        dict(type="RandomFlip", prob=0.5, direction="horizontal"),
        dict(type="RandomFlip", prob=0.5, direction="vertical"),
        dict(type="RandomRotate90", prob=0.5),
        dict(type="Pad", size=(crop, crop), pad_val=dict(img=0, seg=255)),
        dict(type="PackSegInputs", meta_keys=meta_keys),
    ]


def _release(crop, *tones):
    """Augmentations of the SAMRS release; tones for SEP only.  Its quarter turns (0.5) are none in one case of four."""
    return [
        load_window,
        dict(type="LoadLabels"),
        dict(type="RandomScale", low=0.5, high=2.0, prob=0.5),
        dict(type="PadCentred", size=(crop, crop)),
        dict(type="RandomCrop", crop_size=(crop, crop)),
        dict(type="RandomFlip", prob=0.5, direction="horizontal"),
        dict(type="RandomFlip", prob=0.5, direction="vertical"),
        dict(type="RandomRotate90", prob=0.375),
        *tones,
        dict(type="PackSegInputs", meta_keys=meta_keys),
    ]


def _squash(*jitter, crop=384):
    """Augmentations of the GSNet release, whose resizing leaves square images nothing to crop; or with a jitter."""
    return [
        load_image,
        dict(type="LoadLabels"),
        *(jitter or [dict(type="Resize", scale=(1333, crop), keep_ratio=True, backend="pillow")]),
        dict(type="RandomCrop", crop_size=(crop, crop)),
        dict(type="PhotoMetricDistortion"),
        dict(type="RandomFlip", prob=0.5, direction="horizontal"),
        dict(type="Pad", size=(crop, crop), pad_val=dict(img=128, seg=255)),
        dict(type="PackSegInputs", meta_keys=meta_keys),
    ]


def _one_turn(crop, *placed):
    """Augmentations of LoveDA's release for domain adaptation: in three of four cases one flip, or a quarter turn.

    With LoadPositions, each pixel's place in its image goes along, by which it finds its pseudo label.
    """
    flips = [[dict(type="RandomFlip", prob=1.0, direction=name)] for name in ("horizontal", "vertical")]
    turn = [dict(type="RandomRotate90", prob=0.75)]  # 0, 90, 180 or 270 degrees
    return [
        load_image,
        *placed,
        dict(type="LoadLabels"),
        dict(type="RandomCrop", crop_size=(crop, crop)),
        dict(type="RandomApply", prob=0.75, transforms=[dict(type="RandomChoice", transforms=[*flips, turn])]),
        dict(type="Pad", size=(crop, crop), pad_val=dict(img=0, seg=255)),
        dict(type="PackSegInputs", meta_keys=meta_keys),
    ]


def _rare(crop, step="RareClassCrop"):
    """Augmentations of DAFormer: crops for a rare class, or any for the target, and flips."""
    return [
        load_window,
        dict(type="LoadLabels"),
        dict(type=step, crop_size=(crop, crop)),
        dict(type="RandomFlip", prob=0.5, direction="horizontal"),
        dict(type="Pad", size=(crop, crop), pad_val=dict(img=0, seg=255)),
        dict(type="PackSegInputs", meta_keys=meta_keys),
    ]


def _flips(*directions, resize=()):
    """Test-time augmentation: the image as it is, and flipped in each of the directions."""
    flips = [dict(type="RandomFlip", prob=1.0, direction=direction) for direction in directions]
    return [
        load_image,
        *resize,
        dict(
            type="TestTimeAug",
            transforms=[
                [dict(type="RandomFlip", prob=0.0, direction="horizontal"), *flips],
                [dict(type="LoadLabels")],
                [dict(type="PackSegInputs", meta_keys=test_keys)],
            ],
        ),
    ]


train_pipeline_128 = _train(128)
train_pipeline_224 = _train(224)
turns_pipeline_128 = _turns(128)
one_turn_pipeline_128, one_turn_pipeline_512 = _one_turn(128), _one_turn(512)
places = dict(type="LoadPositions")
placed_pipeline_128, placed_pipeline_512 = _one_turn(128, places), _one_turn(512, places)
rare_pipeline_128, rare_pipeline_512 = _rare(128), _rare(512)
any_pipeline_128, any_pipeline_512 = _rare(128, "RandomCrop"), _rare(512, "RandomCrop")
train_pipeline_512 = _release(512)
train_pipeline_896 = _release(896)
tones = dict(type="RandomColorJitter", amount=0.2, prob=0.3, around="black", jitter=(0.07, 0.07, 0.1, 0.1))
sep_pipeline_224 = _release(224, tones)
squash_pipeline_384 = _squash()
# from the scale of the release's training to that of the whole image, so to those of its tests as well
jitter_pipeline_384 = _squash(dict(type="RandomScale", low=0.375, high=1.25, prob=1.0))
# SAN's: the shorter side 0.5 to 1.5 times the crop's
edge = dict(type="RandomChoiceResize", scales=[*range(320, 961, 64)], resize_type="ResizeShortestEdge", max_size=2560)
jitter_pipeline_640 = _squash(edge, crop=640)
# SED's: the shorter side is the crop's
edge = dict(type="Resize", scale=(2666, 768), keep_ratio=True, backend="pillow")
squash_pipeline_768 = _squash(edge, crop=768)
# SCAN's: the shorter side 0.5 to 2 times the crop's
edge = dict(type="RandomChoiceResize", scales=[*range(320, 1281, 64)], resize_type="ResizeShortestEdge", max_size=2560)
wide_pipeline_640 = _squash(edge, crop=640)
# OV-Seg's: the shorter side 800
edge = dict(type="Resize", scale=(1333, 800), keep_ratio=True, backend="pillow")
large_pipeline_512 = _squash(edge, crop=512)
# the SAMRS paper's table 9: the middle 512 x 512 pixels
sep_test_pipeline = [
    load_image,
    dict(type="LoadLabels"),
    dict(type="CentreCrop", size=(512, 512)),
    dict(type="PackSegInputs", meta_keys=test_keys),
]
test_pipeline = [
    load_image,
    dict(type="LoadLabels"),
    dict(type="PackSegInputs", meta_keys=test_keys),
]
to_640 = dict(type="Resize", scale=(2560, 640), keep_ratio=True, backend="pillow")
to_512 = dict(type="Resize", scale=(2048, 512), keep_ratio=True, backend="pillow")
vocabulary_pipeline = [
    load_image,
    to_640,
    dict(type="LoadLabels"),  # after resizing: labels keep their size, and scores are counted there
    dict(type="PackSegInputs", meta_keys=test_keys),
]
vocabulary_pipeline_512 = [to_512 if step is to_640 else step for step in vocabulary_pipeline]
tta_pipeline = _flips("horizontal", "vertical")
tta_vocabulary = _flips("horizontal", "vertical", resize=[to_640])
tta_vocabulary_512 = _flips("horizontal", "vertical", resize=[to_512])
tta_horizontal = _flips("horizontal")  # the SAMRS release's, which it always uses on Potsdam and iSAID
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="ProportionalSampler"),
    batch_sampler=dict(type="ProportionalBatches"),  # gives it the batch size
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
)
test_dataloader = val_dataloader
# what open-vocabulary models are tested on where their own set has no part for it: as GSNet's release prepares it, or
# cut by tools/prepare_data.py
_split = "PotsdamSplit"
potsdam_test = dict(
    dataset=dict(
        type="PairsDataset",
        table="potsdam",
        data_root="data/potsdam",
        layouts=[
            dict(images=f"{_split}/img_dir/val/*.png", labels=f"{_split}/ann_dir/val/*.png", table="potsdam_prepared"),
            dict(images="img_dir/val/*.png", labels="ann_dir/val/*.png"),
            dict(images="img_dir/val/*.tif", labels="ann_dir/val/*.tif"),
        ],
        pipeline=vocabulary_pipeline,
    ),
)
