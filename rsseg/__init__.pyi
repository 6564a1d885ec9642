"""What ``rsseg`` offers, for type checkers and editors: the package itself imports a name when it is asked for."""

from rsseg.api import Model as Model
from rsseg.api import check_dataset as check_dataset
from rsseg.api import compare_maps as compare_maps
from rsseg.api import load_model as load_model
from rsseg.api import map_raster as map_raster
from rsseg.api import read_labels as read_labels
from rsseg.api import segment as segment
from rsseg.conversion.exports.runner import export_labels as export_labels
from rsseg.conversion.runner import convert_labels as convert_labels
from rsseg.conversion.settings import load_conversion_config as load_conversion_config
from rsseg.conversion.tiling import cut_images as cut_images
from rsseg.datasets.checking.check import check_config as check_config
from rsseg.datasets.detection.source import open_source as open_source
from rsseg.datasets.labels import open_labels as open_labels
from rsseg.engine.weights.conversion import convert_weights as convert_weights
from rsseg.errors import AnnotationError as AnnotationError
from rsseg.errors import ConfigError as ConfigError
from rsseg.errors import DataError as DataError
from rsseg.errors import JobError as JobError
from rsseg.errors import MissingPackageError as MissingPackageError
from rsseg.errors import UserError as UserError
from rsseg.evaluation.agreement import LabelFolder as LabelFolder
from rsseg.evaluation.agreement import compare_folders as compare_folders
from rsseg.io.configs import read_config as read_config
from rsseg.io.georeference import GeoReference as GeoReference
from rsseg.io.rasters import Raster as Raster
from rsseg.io.rasters import read_image as read_image
from rsseg.mapping.model import SegmentorScorer as SegmentorScorer
from rsseg.mapping.runner import MapOptions as MapOptions
from rsseg.metainfo.table import ClassTable as ClassTable
from rsseg.metainfo.table import list_metainfo as list_metainfo
from rsseg.metainfo.table import load_metainfo as load_metainfo
from rsseg.reports.bigearthnet.report import report_archive as report_archive
from rsseg.reports.labels.report import report_labels as report_labels
from rsseg.reports.land_cover.report import report_sets as report_sets
from rsseg.reports.maps.page import report_map as report_map
from rsseg.running import Scores as Scores
from rsseg.running import evaluate as evaluate
from rsseg.running import train as train
from rsseg.scenes.scene import make_scene as make_scene
from rsseg.scenes.writer import write_scenes as write_scenes

__version__: str
