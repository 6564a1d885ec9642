"""What ``--suite gpu`` measures: for each group the forms that are compared, as work that can be repeated.

Every function takes the device and whether to be toy-sized, and gives for each form its work and how much that is.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.entry import Work

__all__ = ["GROUPS", "Forms"]

Forms = dict[str, tuple[Work, float]]
_TINY_SAM = {"embed_dim": 32, "depth": 2, "num_heads": 2, "global_attn_indexes": [1], "img_size": 128}
_UNET, _UPERNET = "openearthmap/unet_effb4_openearthmap.py", "openearthmap/upernet_swin_t_openearthmap.py"


def _sam(device: str, toy: bool) -> Forms:
    import numpy as np

    from rsseg.conversion.predictors import SAMPredictor

    side = 128 if toy else 1024
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
    forms: Forms = {}
    for precision in ("fp32", "tf32", "bf16") if device != "cpu" else ("fp32", "bf16"):
        model: Any = _TINY_SAM if toy else "vit_h"
        sam = SAMPredictor(model, random_seed=0, device=device, precision=precision)
        forms[precision] = (lambda sam=sam: sam.encode([image])), 1
    return forms


def _conversion(device: str, toy: bool) -> Forms:
    from benchmarks.convert_image import conversion, write_tile
    from rsseg.conversion import convert_labels

    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    write_tile(root, 4 if toy else 300)
    sam = dict(type="SAMPredictor", model=_TINY_SAM if toy else "vit_h", random_seed=0, device=device)
    config = conversion(root, predictor="sam", predictors=dict(sam=sam), prompt="hbox")

    def run() -> None:
        shutil.rmtree(root / "ours", ignore_errors=True)
        convert_labels(config)

    return {"end to end, with the model's start": (run, 1)}


def _sep(device: str, toy: bool) -> Forms:
    from benchmarks.sep_step import sep_works

    crop = 64 if toy else 224
    ours, half, release = sep_works(device, crop, full=not toy)
    forms = {"release's passes": release, "ours, float32": ours, "ours, bfloat16": half}
    if not toy:
        forms["ours, bfloat16, compiled"] = sep_works(device, crop, full=True, compiled=True)[1]
    return {name: (work, 12) for name, work in forms.items()}


def _upernet(device: str, toy: bool) -> Forms:
    from benchmarks.upernet_step import upernet_works

    side, count = (64, 1) if toy else (512, 4)
    ours, stock = upernet_works(device, side, count)
    return {"mmseg's UPerHead": (stock, count), "ours": (ours, count)}


def _gsnet(device: str, toy: bool) -> Forms:
    import torch
    from torch.nn import functional

    from benchmarks.gsnet import gsnet_model
    from benchmarks.precision import model as of_config
    from rsseg.models.gsnet import vocabulary_loss

    model = of_config("scenes/gsnet_tiny_scenes.py") if toy else gsnet_model(40)
    text, side = model.embed_text().detach().to(device), model.clip.resolution
    model.to(device).embed_text = lambda: text
    images = torch.randn(2, 3, side, side, device=device)
    target = torch.randint(0, len(text), (2, side, side), device=device)

    def view(half: bool) -> None:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=half):
            model(images)

    def step() -> None:
        logits = functional.interpolate(model(images).float(), (side, side), mode="bilinear")
        vocabulary_loss(logits, target).backward()
        model.zero_grad()

    return {"views, float32": (lambda: view(False), 2), "views, bfloat16": (lambda: view(True), 2), "step": (step, 2)}


def _maps(device: str, toy: bool) -> Forms:
    from benchmarks.map_stub import folder, light_model, make_raster, mapper
    from benchmarks.precision import model
    from rsseg.engine import Precision
    from rsseg.mapping import SegmentorScorer

    side, window = (256, 128) if toy else (4096, 512)
    root, forms = folder(), {}
    for name, config in (("U-Net", _UNET), ("UPerNet", _UPERNET)):
        own = (light_model() if toy else model(config)).to(device)
        for precision in (Precision(), Precision(bf16=True)):
            raster = make_raster(root / f"{name}_{precision}.tif", side)
            run = mapper(raster, SegmentorScorer(own, 8, precision=precision), window, "cosine", 1 if toy else 8)
            forms[f"{name}, {precision}"] = run, side * side / 1e6
    return forms


def _daformer(device: str, toy: bool) -> Forms:
    from benchmarks.precision import model
    from benchmarks.uda_step import uda_iteration, uda_model

    own = (
        uda_model("DAFormer", None, dict(distance_classes=(0, 1)))
        if toy
        else model("openearthmap/daformer_b5_openearthmap.py")
    )
    return {"2 + 2 crops": (uda_iteration(own, ("source", "target"), device, 64 if toy else 512), 4)}


GROUPS = {
    "SAM ViT-H encoder": ("images/s", _sam, 90),
    "conversion, 300 boxes a tile": ("tiles/s", _conversion, 90),
    "SEP step, 12 crops of 224": ("crops/s", _sep, 120),
    "UPerNet step, 4 crops of 512": ("crops/s", _upernet, 45),
    "GSNet, 40 classes": ("images/s", _gsnet, 45),
    "map of 4096 x 4096": ("megapixels/s", _maps, 60),
    "DAFormer MiT-B5 step": ("crops/s", _daformer, 30),
}
"""Name -> unit, function, and after how many seconds it is given up; together 8 minutes."""
