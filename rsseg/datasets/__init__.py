"""Files to samples: dataset classes, detection-label readers, samplers and transforms."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "adaptation": ["AdaptationDataset"],
        "color_jitter": ["RandomColorJitter"],
        "crops": ["CropDataset"],
        "ground_truth": ["GROUND_TRUTHS"],
        "inferencer": ["FileOrArray", "LoadImageOrArray"],
        "loading": ["LoadImage", "LoadLabels"],
        "named": ["NamedDataset", "SAMRSDataset"],
        "object_patches": ["ObjectPatches"],
        "pairs": ["PairsDataset"],
        "positions": ["LoadPositions"],
        "preprocessing": ["MultibandPreprocessor"],
        "sampling": ["ProportionalSampler", "SeededIndex", "allocate", "proportional_batches", "seed_all"],
        "segmentation": ["ConvertedDataset", "MultiDataset", "OpenEarthMapDataset", "ReleasedDataset", "TableDataset"],
        "transforms": ["CentreCrop", "PadCentred", "RandomRotate90", "RandomScale", "RareClassCrop"],
    },
    registering=[
        "adaptation",
        "color_jitter",
        "crops",
        "inferencer",
        "loading",
        "named",
        "object_patches",
        "pairs",
        "positions",
        "preprocessing",
        "sampling",
        "segmentation",
        "transforms",
    ],
)
