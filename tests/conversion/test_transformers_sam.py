"""SAM, SAM 2 and SAM 3's tracker on small random models: the masks of the library's own call, of segment_anything."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rsseg.conversion import Prompts, convert_labels, make_prompts
from rsseg.conversion.predictors import PREDICTORS, SAMPredictor, TransformersPredictor
from rsseg.conversion.predictors.sam_models import build_sam
from rsseg.conversion.predictors.transformers_sam import FAMILIES
from rsseg.structures.boxes import hbox_to_qbox
from tests import tiny_transformers as tiny

transformers = pytest.importorskip("transformers")
HBOX = np.array([[10.0, 12, 60, 50], [30, 20, 80, 70.5], [5, 5, 30, 30]])
KINDS = ("hbox", "cp", "cp+hbox", "rbox_m", "cp+hbox+hbox_m")


def _prompts(kind: str) -> Prompts:
    return make_prompts(kind, HBOX, hbox_to_qbox(HBOX))


def _image(*size: int) -> np.ndarray:
    return np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each family, saved by the library."""
    root = tmp_path_factory.mktemp("models")
    return {name: tiny.save(make(), root / name) for name, make in tiny.TRACKERS.items()}


@functools.cache
def _loaded(folder: Path, model: str, processor: str) -> tuple[Any, Any]:
    return (
        getattr(transformers, model).from_pretrained(folder).eval(),
        getattr(transformers, processor).from_pretrained(folder),
    )


def _their_own(
    folder: Path, image: np.ndarray, prompts: Prompts, own: TransformersPredictor
) -> list[tuple[Any, float]]:
    """Masks (H, W) bool and scores by the library's processor, model and post-processing, object by object."""
    model, processor = _loaded(folder, *FAMILIES[own.family])
    found = []
    for i in range(prompts.count):
        asked: dict[str, Any] = {}
        if prompts.boxes is not None:
            asked["input_boxes"] = [[prompts.boxes[i].tolist()]]
        if prompts.points is not None:
            asked |= {"input_points": [[prompts.points[i].tolist()]], "input_labels": [[[1]]]}
        inputs = processor(images=[image], return_tensors="pt", **asked)
        sizes = [inputs.pop("original_sizes")]
        sizes += [inputs.pop("reshaped_input_sizes")] if own.family == "sam" else []
        if prompts.has_masks:
            drawn = prompts.draw_mask(i, image.shape[:2])
            inputs["input_masks"] = torch.as_tensor(own._mask_input(own.encode([image])[0], drawn))
        with torch.no_grad():
            out = model(multimask_output=False, **inputs)
        masks = processor.post_process_masks(out.pred_masks, *sizes)[0]
        found.append((masks[0, 0].numpy(), float(out.iou_scores[0, 0, 0])))
    return found


@pytest.mark.parametrize("size", [(90, 150), (300, 200)])
@pytest.mark.parametrize("family", tiny.TRACKERS)
def test_masks_are_those_of_the_library_bit_by_bit(
    family: str, size: tuple[int, int], folders: dict[str, Path]
) -> None:
    predictor, image = TransformersPredictor(str(folders[family])), _image(*size)
    for kind in KINDS:
        prediction = predictor.predict(image, _prompts(kind))
        theirs = _their_own(folders[family], image, _prompts(kind), predictor)
        for mask, score, (expected, iou) in zip(prediction.masks, prediction.predicted_iou, theirs, strict=True):
            assert np.array_equal(mask.full(size), expected), kind
            assert score == iou
        assert any(0 < mask.area < size[0] * size[1] for mask in prediction.masks)


@pytest.mark.parametrize("family", ["sam2", "sam3"])
def test_the_single_mask_is_the_first_of_the_decoder_s(family: str, folders: dict[str, Path]) -> None:
    """Without the choice among three where it is unstable; random masks always are."""
    chosen, single = (TransformersPredictor(str(folders[family]), dynamic_multimask=value) for value in (True, False))
    image = _image(96, 128)
    with torch.no_grad():
        encoded = single.encode([image])[0]
        boxes = single._arguments(encoded, _prompts("hbox"), range(3))
        heads = []
        single.model.mask_decoder.register_forward_hook(lambda module, args, out: heads.append(out[0]))
        single.model(image_embeddings=encoded.embeddings, multimask_output=False, **boxes)
    mask = single.predict(image, _prompts("hbox")).masks[0]
    logits = torch.nn.functional.interpolate(heads[0][:, 0], (96, 128), mode="bilinear", align_corners=False)
    assert np.array_equal(mask.full((96, 128)), logits[0, 0].numpy() > 0)
    assert not np.array_equal(chosen.predict(image, _prompts("hbox")).masks[0].full((96, 128)), mask.full((96, 128)))


def test_objects_decoded_together_are_no_others(folders: dict[str, Path]) -> None:
    one = TransformersPredictor(str(folders["sam2"]))
    many = TransformersPredictor(str(folders["sam2"]), box_batch=2)
    assert one.exact and not many.exact and many.exact_twin().exact
    image = _image(80, 100)
    for kind in ("cp+hbox", "hbox_m"):
        a, b = (predictor.predict(image, _prompts(kind)) for predictor in (one, many))
        np.testing.assert_allclose(a.predicted_iou, b.predicted_iou, atol=1e-5)
        assert sum(np.sum(x.full((80, 100)) != y.full((80, 100))) for x, y in zip(a.masks, b.masks, strict=True)) <= 8
    assert one.predict(image, Prompts(0)).masks == []


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A small SAM of segment_anything as a ``.pth`` file, and its settings."""
    settings = {"embed_dim": 64, "depth": 3, "num_heads": 2, "global_attn_indexes": (1,), "img_size": 256}
    torch.manual_seed(0)
    model = build_sam(settings)
    for value in model.parameters():
        value.data += 0.02 * torch.randn_like(value)
    path = tmp_path_factory.mktemp("sam") / "sam.pth"
    torch.save(model.state_dict(), path)
    return path, settings


@pytest.mark.parametrize("size", [(150, 200), (500, 300)])
def test_masks_of_segment_anything_s_weights_within_a_tolerance(
    size: tuple[int, int], published: tuple[Path, dict[str, Any]]
) -> None:
    """Another order of sums: 1e-4 in the scores, and at most 1 pixel of 1,000, where random logits are about 0."""
    path, settings = published
    theirs = SAMPredictor(settings, str(path))
    ours = TransformersPredictor(str(path), backend="pil")
    image = _image(*size)
    for kind in KINDS:
        a, b = (predictor.predict(image, _prompts(kind)) for predictor in (theirs, ours))
        np.testing.assert_allclose(a.predicted_iou, b.predicted_iou, atol=1e-4)
        differing = sum(np.sum(x.full(size) != y.full(size)) for x, y in zip(a.masks, b.masks, strict=True))
        assert differing <= 1e-3 * 3 * size[0] * size[1], (kind, differing)


def test_every_weight_of_segment_anything_goes_somewhere(published: tuple[Path, dict[str, Any]]) -> None:
    model = TransformersPredictor(str(published[0])).model
    vision = model.config.vision_config
    assert (vision.hidden_size, vision.num_hidden_layers, vision.num_attention_heads) == (64, 3, 2)
    assert (vision.image_size, vision.window_size, list(vision.global_attn_indexes)) == (256, 14, [1])
    state = torch.load(published[0], weights_only=True)
    own = model.state_dict()
    assert len(own) == len(state) + 1  # the shared positions stand at both places
    assert sum(float(value.double().sum()) for value in state.values()) == pytest.approx(
        sum(float(v.double().sum()) for k, v in own.items() if k != "shared_image_embedding.positional_embedding")
    )


def test_sam_3_of_the_hub_is_read_by_tracker_and_detector(tmp_path: Path) -> None:
    folder = tiny.save_sam3_video(tmp_path)
    predictor = TransformersPredictor(str(folder))
    assert predictor.family == "sam3_video" and type(predictor.model).__name__ == "Sam3TrackerModel"
    assert predictor.predict(_image(60, 70), _prompts("hbox")).masks[0].full((60, 70)).shape == (60, 70)
    about = predictor.describe()
    assert set(about["files"]) == {"config.json", "model.safetensors", "processor_config.json"}
    assert about["weights"] == str(folder) and about["transformers"] == transformers.__version__
    json.dumps(about)


def test_what_does_not_fit_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs weights: .*hf://facebook/sam2.1-hiera-large"):
        TransformersPredictor()
    with pytest.raises(ValueError, match="box_batch must be at least 1, not 0"):
        TransformersPredictor(str(folders["sam"]), box_batch=0)
    with pytest.raises(ValueError, match="backend must be 'torchvision' or 'pil'"):
        TransformersPredictor(str(folders["sam"]), backend="cv2")
    with pytest.raises(ValueError, match="backend='pil' is for SAM"):
        TransformersPredictor(str(folders["sam2"]), backend="pil")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        TransformersPredictor(str(tmp_path / "none"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "clip"}')
    (other / "model.safetensors").write_bytes((folders["sam"] / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="is a model of type 'clip'; expected one of: sam, sam2"):
        TransformersPredictor(str(other))
    (other / "config.json").write_text((folders["sam2"] / "config.json").read_text())
    with pytest.raises(ValueError, match="its weights do not fit Sam2Model; missing keys: "):
        TransformersPredictor(str(other))
    (other / "model.safetensors").write_bytes((folders["sam2"] / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match=r"has no settings of a Sam2Processor \(preprocessor_config.json"):
        TransformersPredictor(str(other))
    (other / "processor_config.json").write_text("[1]")
    with pytest.raises(ValueError, match="has no settings of a Sam2Processor"):
        TransformersPredictor(str(other))
    (other / "model.safetensors").write_bytes((folders["sam2"] / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(ValueError, match="its weights are damaged or cut short"):
        TransformersPredictor(str(other))
    with pytest.raises(ValueError, match="needs points, boxes or masks"):
        TransformersPredictor(str(folders["sam"])).predict(_image(20, 20), Prompts(1))


def test_files_that_are_no_sam_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="is no file of segment_anything; they are none of"):
        TransformersPredictor(str(tmp_path / "x.pth"))


def test_without_transformers_the_extra_is_named(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ImportError, match=r'Python 3.11 or newer: python -m pip install "rsseg\[hf\]"'):
        TransformersPredictor(str(folders["sam"]))


def test_names_of_the_configs_are_known() -> None:
    assert {PREDICTORS[name] for name in ("sam_hf", "sam2_hf", "sam3")} == {"TransformersPredictor"}


def test_a_conversion_goes_through_and_is_not_repeated(
    make_config: Any, folders: dict[str, Path], tmp_path: Path
) -> None:
    predictors = {"mine": {"type": "TransformersPredictor", "checkpoint": str(folders["sam2"])}}
    config = make_config(predictor="mine", predictors=predictors, prompt="rhbox")
    report = convert_labels(config)
    assert report.manifest is not None and report.manifest["counts"]["kept_objects"] == 6
    assert report.manifest["predictor"]["files"]["model.safetensors"]
    again = convert_labels(config)
    assert (again.converted, again.resumed) == (0, 4)
