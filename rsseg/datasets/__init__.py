"""Files to samples: dataset classes, detection-label readers, samplers and transforms."""

from rsseg.stack import require_stack

require_stack()

from rsseg.datasets.color_jitter import RandomColorJitter  # noqa: E402
from rsseg.datasets.crops import CropDataset  # noqa: E402
from rsseg.datasets.pairs import PairsDataset  # noqa: E402
from rsseg.datasets.sampling import ProportionalSampler, SeededIndex, allocate, seed_all  # noqa: E402
from rsseg.datasets.segmentation import (  # noqa: E402
    ConvertedDataset,
    MultiDataset,
    OpenEarthMapDataset,
    ReleasedDataset,
    TableDataset,
)
from rsseg.datasets.transforms import (  # noqa: E402
    CentreCrop,
    LoadFirstBands,
    LoadLabels,
    PadCentred,
    RandomRotate90,
    RandomScale,
)

__all__ = [
    "CentreCrop",
    "ConvertedDataset",
    "CropDataset",
    "LoadFirstBands",
    "LoadLabels",
    "MultiDataset",
    "OpenEarthMapDataset",
    "PadCentred",
    "PairsDataset",
    "ProportionalSampler",
    "RandomColorJitter",
    "RandomRotate90",
    "RandomScale",
    "ReleasedDataset",
    "SeededIndex",
    "TableDataset",
    "allocate",
    "seed_all",
]
