"""Detection labels: readers of five formats, and the images they belong to.

A reader turns one label file into one :class:`Detections`; :func:`open_source` pairs a folder of images with
their labels.
"""

from rsseg.datasets.detection.coco import CocoDetections, read_coco
from rsseg.datasets.detection.detections import Detections, check_inside
from rsseg.datasets.detection.dior import read_dior
from rsseg.datasets.detection.dota import read_dota
from rsseg.datasets.detection.fair1m import read_fair1m
from rsseg.datasets.detection.hrsc import read_hrsc
from rsseg.datasets.detection.image import image_size, read_image
from rsseg.datasets.detection.parts import image_stems, open_parts
from rsseg.datasets.detection.source import READERS, DetectionSource, SourceItem, open_source
from rsseg.datasets.detection.values import AnnotationError, OnError

__all__ = [
    "READERS",
    "AnnotationError",
    "CocoDetections",
    "DetectionSource",
    "Detections",
    "OnError",
    "SourceItem",
    "check_inside",
    "image_size",
    "image_stems",
    "open_parts",
    "open_source",
    "read_coco",
    "read_dior",
    "read_dota",
    "read_fair1m",
    "read_hrsc",
    "read_image",
]
