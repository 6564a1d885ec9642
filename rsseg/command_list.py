"""Which commands there are, and how messages name one: as the user calls commands."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["COMMANDS", "GROUPS", "command"]

GROUPS = {
    "Make labels": {
        "convert": ("convert_labels", "detection boxes to segmentation labels, by a mask model"),
        "train-boxmask": ("train_boxmask", "train a mask model of your own on a few images with masks"),
        "ablate": ("ablate_prompts", "compare prompt kinds of a mask model with ground-truth masks"),
        "report labels": ("report_labels", "statistics and an HTML page of a labelled set"),
        "report review": ("report_review", "how far reviewers of a labelled set agree"),
        "export": ("export_labels", "a labelled set as SAMRS pickles, colour images, YOLO or COCO"),
        "tile": ("tile_images", "cut images into tiles"),
        "scenes": ("make_scenes", "procedural aerial scenes with exact labels, to try everything out"),
    },
    "Train and test": {
        "check": ("check_dataset", "read a config's images and labels once; say what would stop or spoil a training"),
        "train": ("train", "train a model from a config"),
        "search": ("search", "search for a network's architecture, and write a config that trains it"),
        "test": ("test", "scores of a trained model, predictions, pictures"),
        "weights": ("convert_weights", "convert a file with third-party weights"),
        "push": ("push_model", "share a trained model on the Hugging Face hub, with a model card"),
        "pull": ("pull_model", "download a model from the hub, and check it"),
        "parameters": ("count_parameters", "parameters and multiply-adds of models"),
        "speed": ("speed", "how fast models are: latency, images per second, memory"),
        "grid": ("run_grid", "a grid of experiments: rows x columns x seeds; tables, tests and figures"),
        "few-lists": ("make_few_labels", "lists of a few per cent of a training set"),
        "propose": ("propose_images", "which images to label next: those of high predicted loss"),
        "few-labels": ("run_few_labels", "fine-tune with few labels from several initialisations; one table"),
        "methods": ("run_methods", "train and test methods of domain adaptation with several seeds; one table"),
        "demo": ("demo", "the whole path on procedural scenes, on a CPU"),
    },
    "Make maps": {
        "map": ("map_raster", "map rasters of any size with a trained model"),
        "segment": ("segment", "segment images by classes in your own words"),
        "collect": ("collect_maps", "one layer, one table of areas and a STAC collection from a folder of maps"),
        "export-model": ("export_model", "a trained model as ONNX or OpenVINO, for maps, other programs and QGIS"),
        "report map": ("report_map", "one HTML page for a map"),
        "serve": ("serve", "a page to look at maps, ask in your own words, click objects and review labels"),
        "change": ("change", "compare two maps of one place: matrix, areas, polygons of change, a page"),
        "compare": ("compare_labels", "compare two folders of labels or maps of the same images"),
    },
    "Prepare and describe datasets": {
        "prepare": ("prepare_data", "cut Potsdam, iSAID or DeepGlobe into tiles"),
        "split-openearthmap": ("split_openearthmap", "OpenEarthMap's lists, official or new"),
        "fill-xbd": ("fill_xbd", "put the images that OpenEarthMap leaves out where they belong"),
        "pack-submission": ("pack_submission", "predictions of OpenEarthMap's test list for the benchmark's server"),
        "build-landdiscover": ("build_landdiscover", "LandDiscover50K from the five sets it is made of"),
        "cut-bigearthnet": ("cut_bigearthnet", "patches as BigEarthNet's from your own Sentinel-2 tile"),
        "pack-bigearthnet": ("pack_bigearthnet", "BigEarthNet as one file that is fast to read"),
        "report classes": ("label_statistics", "pixels and segments of land-cover labels"),
        "report bigearthnet": ("bigearthnet_statistics", "images per class, seasons and countries of BigEarthNet"),
        "report patches": (
            "report_patches",
            "labels of patches by several models: a page of examples, p-values",
        ),
    },
    "Set up": {
        "completion": ("completion", "a script that completes commands and options in bash or zsh"),
    },
    "Compare with the papers": {
        "test-vocabulary": ("test_vocabulary", "GSNet's table 2: an open-vocabulary model on several sets"),
        "check-sam": ("check_sam", "compare our SAM with segment_anything's predictor, bit by bit"),
    },
}
"""Group -> command -> module in :mod:`rsseg.cli` and what the command does."""
COMMANDS = {name: module for group in GROUPS.values() for name, (module, _) in group.items()}
"""Command -> module in :mod:`rsseg.cli`."""


def command(name: str) -> str:
    """A command as the user would call it: ``rsseg weights``; of a tool, ``python tools/convert_weights.py``.

    Args:
        name: A key of ``COMMANDS``.
    """
    own = Path(sys.argv[0])
    if own.parent.name == "tools" and own.suffix == ".py" and own.stem in COMMANDS.values():
        return f"python {own.with_name(COMMANDS[name])}.py"
    return f"rsseg {name}"
