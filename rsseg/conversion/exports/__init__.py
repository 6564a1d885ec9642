"""A labelled set in the formats of others: SAMRS's pickles and colour images, YOLO polygons, COCO."""

from rsseg.conversion.exports.rings import Outline, mask_outline
from rsseg.conversion.exports.runner import FORMATS, Exported, export_labels, export_summary

__all__ = ["FORMATS", "Exported", "Outline", "export_labels", "export_summary", "mask_outline"]
