"""mmseg's and mmpretrain's own APIs take the configs as they are: files, arrays, several heads, vocabularies, bands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.apis import MMSegInferencer, inference_model, init_model, show_result_pyplot
from PIL import Image

from rsseg.metainfo import load_metainfo

pytestmark = pytest.mark.filterwarnings("ignore")
CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SCENES = CONFIGS / "scenes"


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of 48 x 64 pixels."""
    path = tmp_path_factory.mktemp("picture") / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)).save(path)
    return path


def _classes(sample: Any) -> np.ndarray:
    return sample.pred_sem_seg.data[0].numpy()


def _check(config: Path, picture: Path, out: Path, classes: int, **options: Any) -> Any:
    """A model by ``init_model``; it and the inferencer give the same for a file and for its pixels."""
    model = init_model(str(config), device="cpu", cfg_options=dict(options))
    bgr = np.ascontiguousarray(np.asarray(Image.open(picture))[..., ::-1])
    by_file, by_array = inference_model(model, str(picture)), inference_model(model, [bgr])[0]
    assert by_file.seg_logits.data.shape == (classes, 48, 64)
    np.testing.assert_array_equal(_classes(by_file), _classes(by_array))
    torch.save({"state_dict": model.state_dict(), "meta": {}}, out / "model.pth")
    inferencer = MMSegInferencer(str(config) if not options else model.cfg, str(out / "model.pth"), device="cpu")
    found = inferencer([str(picture), bgr], out_dir=str(out), batch_size=1)["predictions"]
    for own in found:
        np.testing.assert_array_equal(own, _classes(by_file))
    assert len(list((out / "vis").iterdir())) == 2
    return model


def test_a_model_with_one_head(picture: Path, tmp_path: Path) -> None:
    _check(SCENES / "upernet_tiny_scenes.py", picture, tmp_path, 8)


@pytest.mark.parametrize(("head", "table"), [(None, "sota"), ("fast", "fast")])
def test_the_head_is_chosen(picture: Path, tmp_path: Path, head: str | None, table: str) -> None:
    names = load_metainfo(table).classes
    model = _check(
        SCENES / "upernet_tiny_sep_scenes.py", picture, tmp_path, len(names), **({"model.head": head} if head else {})
    )
    assert tuple(model.dataset_meta["classes"]) == names
    shown = show_result_pyplot(model, str(picture), inference_model(model, str(picture)), show=False)
    assert shown.shape[2] == 3
    model.head = "sior"
    assert inference_model(model, str(picture)).seg_logits.data.shape[0] == 20
    assert tuple(model.dataset_meta["classes"]) == load_metainfo("sior").classes
    model.dataset_meta = {"classes": ("a",) * 18, "sets": {"sior": {"classes": ("b",) * 20, "palette": []}}}
    assert model.dataset_meta["classes"] == ("b",) * 20  # the checkpoint's
    with pytest.raises(ValueError, match="no head for dataset 'dior'; the model has heads for: sota, sior, fast"):
        model.head = "dior"


@pytest.mark.slow
def test_an_open_vocabulary(picture: Path, tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    model = _check(SCENES / "gsnet_tiny_scenes.py", picture, tmp_path, 8)
    assert tuple(model.dataset_meta["classes"]) == load_metainfo("openearthmap").classes
    model.set_vocabulary(["water", "boat"])
    assert model.dataset_meta["classes"] == ("water", "boat")
    assert len({tuple(color) for color in model.dataset_meta["palette"]}) == 2
    assert inference_model(model, str(picture)).seg_logits.data.shape[0] == 2


def test_without_a_test_set(picture: Path, tmp_path: Path) -> None:
    config = Config.fromfile(SCENES / "upernet_tiny_scenes.py")
    config.test_dataloader = None
    found = MMSegInferencer(config, device="cpu")(str(picture))["predictions"]
    assert found.shape == (48, 64)
    config.pop("test_pipeline")
    with pytest.raises(ValueError, match="has neither test_dataloader nor test_pipeline; add test_pipeline="):
        MMSegInferencer(config, device="cpu")


def test_an_image_is_not_cut_for_the_inferencer() -> None:
    """Scores of SEP are of the middle 512 x 512 pixels; a prediction is of the image."""
    from rsseg.io.pipelines import inference_pipeline

    config = Config.fromfile(CONFIGS / "samrs" / "upernet_swin_sep.py")
    assert any(step["type"] == "CentreCrop" for step in config.test_dataloader.dataset.pipeline)
    for test_set in (True, False):
        steps = inference_pipeline(config, test_set)
        assert steps is not None
        assert [step["type"] for step in steps] == ["LoadImageOrArray", "PackSegInputs"]


@pytest.mark.slow
def test_declared_bands_reach_the_apis(tmp_path: Path) -> None:
    import rasterio

    pixels = np.random.default_rng(0).integers(0, 10000, (4, 48, 64)).astype(np.uint16)
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", width=64, height=48, count=4, dtype="uint16") as file:
        file.write(pixels)
    small = {"model.backbone.depth": 18, "model.decode_head.in_channels": [64, 128, 256, 512]}
    config = str(CONFIGS / "multispectral" / "upernet_r50_multispectral.py")
    model = init_model(config, device="cpu", cfg_options=small)
    first = inference_model(model, str(path))
    np.testing.assert_array_equal(_classes(inference_model(model, pixels.transpose(1, 2, 0))), _classes(first))
    inferencer = MMSegInferencer(model.cfg, device="cpu")
    inferencer.model.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(inferencer(str(path))["predictions"], _classes(first))


def test_patches_of_bigearthnet(tmp_path: Path) -> None:
    from mmpretrain.apis import ImageClassificationInferencer, get_model

    folder = CONFIGS / "bigearthnet"
    array = np.random.default_rng(0).integers(0, 4000, (120, 120, 12)).astype(np.float32)
    maps = init_model(str(folder / "fcn_scnn_maps.py"), device="cpu")
    assert inference_model(maps, array).seg_logits.data.shape == (19, 120, 120)
    with DefaultScope.overwrite_default_scope("mmpretrain"):  # another test's may be there
        labels = get_model(str(folder / "scnn_all.py"), pretrained=False)
        (found,) = ImageClassificationInferencer(labels)([array])
    assert found["pred_scores"].shape == (43,)
    old = init_model(str(folder / "scnn_all.py"), device="cpu")  # mmseg's, for a config of mmpretrain
    assert type(old) is type(labels)


def test_a_pretrained_file_has_its_own_place(mmseg_scope: None) -> None:
    from mmseg.registry import MODELS

    config = Config.fromfile(SCENES / "gsnet_tiny_scenes.py").model
    with pytest.raises(ValueError, match=r"name the towers' files, as in model\.clip\.weights"):
        MODELS.build({**config, "pretrained": "a.pth"})
