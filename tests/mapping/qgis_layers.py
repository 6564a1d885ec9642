"""Load layers in QGIS and say what it shows: run by test_qgis.py under the Python that QGIS belongs to.

python qgis_layers.py PICTURE FILE...: a line of JSON with, for each file, the legend; all of them drawn as a picture.
"""

import json
import sys

from qgis.core import (
    QgsApplication,
    QgsLayerTreeModel,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def load(path):
    """A layer as the user gets it who drops the file into QGIS."""
    if path.endswith((".tif", ".png")):
        return QgsRasterLayer(path, path)
    return QgsVectorLayer(f"{path}|layername=classes" if path.endswith(".gpkg") else path, path, "ogr")


def legend(layer):
    """Entries of the legend, and the colours by name."""
    root = QgsProject.instance().layerTreeRoot()
    model = QgsLayerTreeModel(root)
    texts = [node.data(0) for node in model.layerLegendNodes(root.findLayer(layer.id()))]
    renderer = layer.renderer()
    if isinstance(layer, QgsRasterLayer):
        colours = {c.label: c.color.name() for c in renderer.classes()}
    else:
        colours = {c.label(): c.symbol().color().name() for c in getattr(renderer, "categories", list)()}
    return {"valid": layer.isValid(), "renderer": renderer.type(), "legend": texts, "colours": colours}


def main():
    picture, *paths = sys.argv[1:]
    application = QgsApplication([], False)
    application.initQgis()
    layers = [load(path) for path in paths]
    for layer in layers:
        QgsProject.instance().addMapLayer(layer)
    found = {path: legend(layer) for path, layer in zip(paths, layers, strict=True)}
    settings = QgsMapSettings()
    settings.setLayers(layers[:1])
    settings.setBackgroundColor(QColor(255, 255, 255))
    settings.setOutputSize(QSize(300, 200))
    settings.setExtent(layers[0].extent())
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    print(json.dumps(found))
    sys.stdout.flush()
    QgsProject.instance().clear()
    application.exitQgis()


main()
