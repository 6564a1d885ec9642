"""Files to samples: dataset classes, detection-label readers, samplers and transforms."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "color_jitter": ["RandomColorJitter"],
        "crops": ["CropDataset"],
        "pairs": ["PairsDataset"],
        "sampling": ["ProportionalSampler", "SeededIndex", "allocate", "seed_all"],
        "segmentation": ["ConvertedDataset", "MultiDataset", "OpenEarthMapDataset", "ReleasedDataset", "TableDataset"],
        "transforms": ["CentreCrop", "LoadFirstBands", "LoadLabels", "PadCentred", "RandomRotate90", "RandomScale"],
    },
    registering=["color_jitter", "crops", "pairs", "sampling", "segmentation", "transforms"],
)
