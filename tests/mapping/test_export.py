"""Exported models: the checkpoint's scores at every batch and size, its maps, a description that is read."""

from __future__ import annotations

import copy
import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.models.backbones.swin import ShiftWindowMSA
from mmseg.registry import MODELS
from torch import nn

import rsseg
from rsseg.errors import ConfigError, DataError, JobError, MissingPackageError
from rsseg.mapping.exported import describe_table, load_exported, read_table
from rsseg.mapping.exporting import export_model, export_summary
from rsseg.metainfo import load_metainfo
from rsseg.models import exporting

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("mmseg_scope")

MIT = {"model.backbone.embed_dims": 8, "model.backbone.num_layers": [1] * 4, "model.decode_head.channels": 16,
       "model.backbone.num_heads": [1, 2, 4, 8], "model.decode_head.in_channels": [8, 16, 32, 64]}  # fmt: skip
SWIN = {"model.backbone.embed_dims": 8, "model.backbone.depths": [2, 1], "model.backbone.window_size": 4,
        "model.backbone.num_heads": [1, 2], "model.backbone.strides": [4, 2], "model.backbone.out_indices": [0, 1],
        "model.decode_head.in_channels": [8, 16], "model.decode_head.in_index": [0, 1],
        "model.decode_head.channels": 8}  # fmt: skip
RESNET = {"model.backbone.stem_channels": 8, "model.backbone.base_channels": 8, "model.decode_head.channels": 8,
          "model.decode_head.in_channels": [8, 16, 32, 64]}  # fmt: skip
FAMILIES = {
    "U-Net": ("scenes/unet_efficientnet_lite0_scenes.py", {}, None),
    "UPerNet Swin, several heads": ("samrs/upernet_swin_sep.py", SWIN, "sior"),
    "SegFormer": ("scenes/segformer_small_scenes.py", MIT, None),
    "DAFormer": ("loveda/daformer_b5_loveda.py", MIT, None),
    "DeepLabV2": ("scenes/deeplab_v2_lite0_source_only_scenes.py", {}, None),
}
UPERNET = ("scenes/upernet_tiny_scenes.py", RESNET, None)


def trained(repo: Path, folder: Path, family: tuple, **options: object) -> tuple[nn.Module, Namespace]:
    """A model with other weights than zeros and ones, and the arguments of its export."""
    config, settings, head = family
    changes = {"model.backbone.init_cfg": None, **settings}
    model = Config.fromfile(repo / "configs" / config)
    model.merge_from_dict(changes)
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(model.model)).eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for name, value in model.named_parameters():
        if "conv_seg" in name or name.startswith("heads."):
            nn.init.normal_(value, std=0.3)
    torch.save({"state_dict": model.state_dict()}, folder / "model.pth")
    arguments = {
        "config": str(repo / "configs" / config), "checkpoint": str(folder / "model.pth"), "to": "onnx",
        "out": folder / "model.onnx", "head": head, "classes": None, "size": None, "profile": None, "gsd": None,
        "int8": None, "overwrite": False, "trust": False, "class_map": None, "trust_classes": False,
        "cfg_options": changes,
    }  # fmt: skip
    return model, Namespace(**{**arguments, **options})


def scores_of(model: nn.Module, pixels: torch.Tensor, head: str | None) -> torch.Tensor:
    """Of RGB pixels, by the model's own parts."""
    own = model.data_preprocessor
    meta = {"img_shape": pixels.shape[2:], "dataset_name": head}
    with torch.inference_mode():
        return model.encode_decode((pixels - own.mean) / own.std, [meta])


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_the_checkpoints_at_other_batches_and_sizes(family, repo, tmp_path):
    model, args = trained(repo, tmp_path, FAMILIES[family])
    made = export_model(args)
    assert made.difference <= 1e-4 * max(1, made.largest) and len(made.shapes) == 3
    exported, about = load_exported(str(made.path))
    assert about["head"] == args.head and read_table(about["classes"], made.path).classes == made.classes
    for shape in ((1, 3, 32, 96), (3, 3, 97, 45)):  # traced are 2 images of 129 x 161
        pixels = 255 * torch.rand(shape)
        own, other = scores_of(model, pixels, args.head), exported.inference(pixels, [])
        assert other.shape == own.shape
        assert (own - other).abs().max() <= 1e-4 * max(1.0, float(own.abs().max()))


@pytest.fixture(scope="module")
def upernet(repo, tmp_path_factory):
    """A folder with a checkpoint, the model's ONNX file and a raster."""
    init_default_scope("mmseg")
    folder = tmp_path_factory.mktemp("export")
    model, args = trained(repo, folder, UPERNET)
    made = export_model(args)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 13, 19)).astype(np.uint8).repeat(8, 1).repeat(8, 2)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "height": 104, "width": 152, "photometric": "RGB"}
    where = rasterio.Affine(0.5, 0, 500000, 0, -0.5, 4000000)
    with rasterio.open(folder / "scene.tif", "w", crs="EPSG:32633", transform=where, **profile) as file:
        file.write(pixels)
    return folder, model, args, made


def mapped(model, folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    target = model.map(folder / "scene.tif", folder / f"{name}.tif", window=64, probabilities="all")
    with rasterio.open(target) as file, rasterio.open(folder / f"{name}_probabilities.tif") as shares:
        return file.read(1), shares.read().astype(int)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_the_map_is_the_checkpoints(runtime, upernet, tmp_path):
    pytest.importorskip(runtime)
    folder, _, args, made = upernet
    own = rsseg.load_model(args.config, args.checkpoint, device="cpu", cfg_options=args.cfg_options)
    other = rsseg.load_model(made.path, runtime=runtime)
    assert other.table.rows == own.table.rows and other.table.name == own.table.name
    classes, shares = mapped(own, folder, f"own_{runtime}")
    others, other_shares = mapped(other, folder, runtime)
    assert len(np.unique(classes)) > 2
    assert np.abs(shares - other_shares).max() <= 1
    best = np.sort(shares, axis=0)
    clear = best[-1] - best[-2] > 1  # of 254
    assert clear.mean() > 0.9 and (classes == others)[clear].all()
    with rasterio.open(folder / f"{runtime}.tif") as file:
        assert file.tags(1)["class_1"] == "rangeland" and file.tags()["RSSEG_MODEL"] == "model.onnx"


def test_openvino_has_files_of_its_own(upernet, tmp_path):
    pytest.importorskip("openvino")
    _, model, args, _ = upernet
    made = export_model(Namespace(**{**vars(args), "to": "openvino", "out": tmp_path / "model.xml"}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    exported, about = load_exported(str(made.path))
    pixels = 255 * torch.rand(1, 3, 50, 70)
    assert about["window"] == [128, 128] and made.difference <= 1e-4
    torch.testing.assert_close(exported.inference(pixels, []), scores_of(model, pixels, None), rtol=0, atol=1e-4)
    wide = load_exported(str(made.path), bf16=True)[0].inference(pixels, [])
    assert torch.isfinite(wide).all()
    with pytest.raises(ConfigError, match=r"only OpenVINO reads its \.xml files"):
        load_exported(str(made.path), "onnxruntime")


def test_a_file_for_qgis(upernet, tmp_path):
    _, model, args, _ = upernet
    profile = {"profile": "qgis", "size": 64, "gsd": 0.3, "out": tmp_path / "qgis.onnx"}
    made = export_model(Namespace(**{**vars(args), **profile}))
    file = onnx.load(made.path)
    values = {own.key: json.loads(own.value) for own in file.metadata_props}
    assert values["model_type"] == "Segmentor" and values["resolution"] == 30.0
    assert values["tile_size"] == values["tiles_size"] == 64
    assert values["class_names"] == {str(i): name for i, name in enumerate(made.classes)}
    shapes = [
        [side.dim_value for side in own.type.tensor_type.shape.dim] for own in (*file.graph.input, *file.graph.output)
    ]
    assert shapes == [[1, 3, 64, 64], [1, 8, 64, 64]]
    pixels = torch.rand(1, 3, 64, 64)
    found = load_exported(str(made.path))[0].run(pixels.numpy())
    expected = scores_of(model, 255 * pixels, None).softmax(1).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_smaller_images_are_padded_to_a_fixed_size(upernet, tmp_path):
    _, _, args, _ = upernet
    made = export_model(Namespace(**{**vars(args), "size": 64, "out": tmp_path / "fixed.onnx"}))
    exported = load_exported(str(made.path))[0]
    pixels = 255 * torch.rand(2, 3, 40, 64)
    padded = torch.nn.functional.pad(pixels, (0, 0, 0, 24), mode="replicate")
    torch.testing.assert_close(exported.inference(pixels, []), exported.inference(padded, [])[:, :, :40])
    with pytest.raises(ConfigError, match="takes images of 64 x 64 pixels only"):
        exported.inference(torch.rand(1, 3, 64, 65), [])
    with pytest.raises(ConfigError, match="takes windows of 64 only; remove --window"):
        rsseg.load_model(made.path).predict(np.zeros((80, 80, 3), np.uint8), window=32)


def test_what_cannot_be_written_or_read_is_named(upernet, tmp_path, monkeypatch):
    _, _, args, made = upernet

    def changed(**options):
        return Namespace(**{**vars(args), "out": tmp_path / "x.onnx", **options})

    with pytest.raises(JobError, match=r"model\.onnx: exists already; add --overwrite"):
        export_model(args)
    with pytest.raises(ConfigError, match=r"--out .*x\.onnx: a file for --to openvino ends in \.xml"):
        export_model(changed(to="openvino"))
    with pytest.raises(ConfigError, match="--profile qgis requires --size PIXELS"):
        export_model(changed(profile="qgis"))
    with pytest.raises(ConfigError, match="the model of this config has only one head"):
        export_model(changed(head="sota"))
    with pytest.raises(ConfigError, match="does not compute in bfloat16; add --runtime openvino"):
        load_exported(str(made.path), bf16=True)
    with pytest.raises(FileNotFoundError, match="rsseg export-model writes models"):
        load_exported(str(tmp_path / "none.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"bad\.onnx: ONNX Runtime cannot read it"):
        load_exported(str(tmp_path / "bad.onnx"))
    file = onnx.load(made.path)
    onnx.helper.set_model_props(file, {"rsseg": json.dumps({"format": 1, "classes": []})})
    onnx.save(file, tmp_path / "other.onnx")
    with pytest.raises(DataError, match=r"rsseg\.classes must be a dict, got \[\]"):
        load_exported(str(tmp_path / "other.onnx"))
    onnx.helper.set_model_props(file, {"author": "somebody"})
    onnx.save(file, tmp_path / "other.onnx")
    with pytest.raises(DataError, match="has no description of form 1 under the key 'rsseg'"):
        load_exported(str(tmp_path / "other.onnx"))
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r'pip install "rsseg\[export\]"'):
        load_exported(str(made.path))


def test_options_of_a_checkpoint_do_not_go_with_an_exported_model(upernet):
    _, _, args, made = upernet
    with pytest.raises(ConfigError, match="are in the file; remove --head"):
        rsseg.load_model(made.path, head="sota")
    with pytest.raises(ConfigError, match="--device meta: an exported model runs on the CPU"):
        rsseg.load_model(made.path, device="meta")
    with pytest.raises(ConfigError, match="--runtime openvino is for an exported model"):
        rsseg.load_model(args.config, args.checkpoint, runtime="openvino")


def test_a_model_that_differs_is_not_written(repo, tmp_path, monkeypatch):
    monkeypatch.delitem(exporting._CURES, ShiftWindowMSA)  # mmseg's own takes the traced batch for every one
    _, args = trained(repo, tmp_path, FAMILIES["UPerNet Swin, several heads"])
    with pytest.raises(
        ConfigError, match=r"scores differ by \d.* on images of \(1, 64, 64\) pixels; nothing was written"
    ):
        export_model(args)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pth"]


def test_8_bit_integers_are_calibrated_and_their_loss_is_measured(upernet, tmp_path):
    _, _, args, made = upernet
    random = np.random.default_rng(0)
    for kind, bands, high in (("images", 3, 256), ("labels", 1, 9)):
        (tmp_path / "here" / kind).mkdir(parents=True)
        for i in range(3):
            pixels = random.integers(0, high, (bands, 48, 80)).astype(np.uint8)
            profile = {"driver": "GTiff", "count": bands, "dtype": "uint8", "height": 48, "width": 80}
            with rasterio.open(tmp_path / "here" / kind / f"here_{i}.tif", "w", **profile) as file:
                file.write(pixels)
    (tmp_path / "val.txt").write_text("".join(f"here_{i}.tif\n" for i in range(3)))
    val = {"val_dataloader.dataset.data_root": str(tmp_path)}
    options = {"int8": 2, "out": tmp_path / "int8.onnx", "cfg_options": {**args.cfg_options, **val}}
    found = export_model(Namespace(**{**vars(args), **options}))
    assert (found.loss.calibrated, found.loss.scored) == (2, 1) and found.bytes < made.bytes
    assert 0.5 < found.loss.agreement <= 1 and 0 <= min(found.loss.miou) <= max(found.loss.miou) <= 1
    assert load_exported(str(found.path))[1]["checkpoint"] == "model.pth"
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(str(found.path)).graph
    data_types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    zeros = {data_types[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"}
    assert zeros == {onnx.TensorProto.UINT8}  # OpenVINO computes maps that have a sign in float32
    assert "images to calibrate: 2, other images to score: 1; mIoU" in export_summary(found)
    with pytest.raises(ConfigError, match="--int8 3: the config's validation set has 3 images"):
        export_model(Namespace(**{**vars(args), **options, "int8": 3, "overwrite": True}))


@pytest.mark.parametrize("name", ["openearthmap", "sior+background", "loveda@landcover6"])
def test_class_tables_are_kept(name, tmp_path):
    table = load_metainfo(name)
    document = json.loads(json.dumps(describe_table(table)))
    found = read_table(document, tmp_path / "x.onnx")
    assert found.rows == table.rows and found.unscored == table.unscored and found.ignore == table.ignore
    document["categories"][1]["color"] = "red"
    with pytest.raises(DataError, match=r"x\.onnx: its class table"):
        read_table(document, tmp_path / "x.onnx")


def test_the_summary_has_the_difference(upernet):
    lines = export_summary(upernet[3]).splitlines()
    assert lines[0].endswith(f"8 classes, {upernet[3].bytes / 1e6:.1f} MB") and "1x64x64" in lines[1]
