"""Maps are what mmseg computes."""

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmseg.apis import inference_model

from rsseg.engine import Precision
from rsseg.mapping import MapOptions, SegmentorScorer, map_raster
from rsseg.mapping.model import views_of
from rsseg.metainfo import load_metainfo

TABLE = "openearthmap"
FROM_ARRAY = [dict(type="LoadImageFromFile"), dict(type="PackSegInputs")]


@pytest.fixture
def network(repo, mmseg_scope):
    """A small UPerNet with random weights."""
    from mmseg.registry import MODELS

    config = Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny_scenes.py")
    config.test_pipeline = FROM_ARRAY
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    model.cfg = config
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.5)
    return model


def map_of(path, target, model, **options):
    table = load_metainfo(TABLE)
    views = options.pop("views", ((),))
    assert map_raster(str(path), target, SegmentorScorer(model, 8, views=views), table, MapOptions(**options), {})
    with rasterio.open(target) as file:
        return file.read(1)


def scene(height, width):
    """Smooth blobs (3, H, W) uint8."""
    small = np.random.default_rng(0).integers(0, 256, (3, height // 16 + 1, width // 16 + 1))
    return small.repeat(16, 1).repeat(16, 2)[:, :height, :width].astype(np.uint8)


@pytest.mark.parametrize("blend", ["mean", "cosine", "centre"])
def test_one_window_is_inference_model_pixel_for_pixel(network, write_raster, tmp_path, blend):
    pixels = scene(90, 130)
    expected = inference_model(network, np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))).pred_sem_seg.data[0]
    found = map_of(write_raster(pixels), tmp_path / "map.tif", network, window=(256, 256), blend=blend)
    assert len(np.unique(found)) > 2
    np.testing.assert_array_equal(found, expected.numpy())


def test_padding_of_the_preprocessor_is_cut_off_again(network, write_raster, tmp_path):
    network.data_preprocessor.test_cfg = dict(size_divisor=64)
    pixels = scene(90, 130)
    expected = inference_model(network, np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))).pred_sem_seg.data[0]
    found = map_of(write_raster(pixels), tmp_path / "map.tif", network, window=(256, 256))
    np.testing.assert_array_equal(found, expected.numpy())


def test_a_model_that_slides_itself_keeps_its_windows(network, write_raster, tmp_path):
    network.test_cfg = Config(dict(mode="slide", crop_size=(64, 64), stride=(48, 48)))
    pixels = scene(90, 130)
    expected = inference_model(network, np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))).pred_sem_seg.data[0]
    found = map_of(write_raster(pixels), tmp_path / "map.tif", network, window=(256, 256))
    np.testing.assert_array_equal(found, expected.numpy())


def test_bfloat16_gives_float32_scores_close_by(network):
    windows = [scene(64, 64)]
    exact, rough = (SegmentorScorer(network, 8, precision=Precision(bf16=on)) for on in (False, True))
    first, second = (predictor(predictor.prepare(windows)) for predictor in (exact, rough))
    assert second.dtype == torch.float32
    assert not torch.equal(first, second)
    torch.testing.assert_close(first, second, atol=0.1 * float(first.abs().max()), rtol=0)


def test_the_layout_of_the_weights_changes_rounding_only(network):
    windows = [scene(64, 64)]
    predictor = SegmentorScorer(network, 8)
    first = predictor(predictor.prepare(windows))
    predictor.use(Precision(channels_last=True))
    weight = network.backbone.conv1.weight if hasattr(network.backbone, "conv1") else network.backbone.stem[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(predictor(predictor.prepare(windows)), first, rtol=1e-4, atol=1e-4)
    predictor.use(Precision(medium=True, channels_last=True))  # with AMX, products are of bfloat16
    torch.testing.assert_close(predictor(predictor.prepare(windows)), first, rtol=0.1, atol=0.1)
    predictor.use(Precision())
    assert torch.equal(predictor(predictor.prepare(windows)), first)


def test_one_score_per_pixel_is_compared_with_its_threshold(plain_model):
    head = plain_model.decode_head
    torch.manual_seed(0)
    head.conv_seg, head.out_channels, head.threshold = torch.nn.Conv2d(3, 1, 1), 1, 0.3
    pixels = scene(64, 64)
    plain_model.cfg = Config(dict(test_pipeline=FROM_ARRAY))
    expected = inference_model(plain_model, np.ascontiguousarray(pixels[::-1].transpose(1, 2, 0))).pred_sem_seg.data[0]
    predictor = SegmentorScorer(plain_model, 2)
    found = predictor(predictor.prepare([pixels[::-1]]))[0].argmax(0)
    assert 0 < found.sum() < found.numel()
    assert torch.equal(found, expected.long())


def test_another_number_of_classes_is_refused(plain_model):
    predictor = SegmentorScorer(plain_model, 8)
    with pytest.raises(ValueError, match=r"predicts 3 classes, but the class table has 8; .*--classes"):
        predictor(predictor.prepare([scene(16, 16)]))


def test_a_file_gives_what_mmseg_makes_of_it(network, write_raster, tmp_path):
    path = write_raster(scene(64, 64))
    found = map_of(path, tmp_path / "map.tif", network, window=(64, 64))
    np.testing.assert_array_equal(found, inference_model(network, str(path)).pred_sem_seg.data[0].numpy())


@pytest.mark.slow
def test_mean_is_the_slide_inference_of_mmseg(network, write_raster, tmp_path):
    from mmseg.models.segmentors import EncoderDecoder

    pixels = scene(550, 750)
    batch = network.data_preprocessor({"inputs": [torch.from_numpy(pixels[::-1].copy())], "data_samples": []}, False)
    network.test_cfg = Config(dict(mode="slide", crop_size=(256, 256), stride=(192, 192)))
    with torch.inference_mode():
        scores = EncoderDecoder.slide_inference(network, batch["inputs"], [{}])[0]
    network.test_cfg = Config(dict(mode="whole"))
    options = dict(window=(256, 256), overlap=0.25, blend="mean", probabilities="all")
    found = map_of(write_raster(pixels), tmp_path / "map.tif", network, batch=1, **options)
    assert len(np.unique(found)) > 2
    np.testing.assert_array_equal(found, scores.argmax(0).numpy())
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:
        assert np.abs(file.read() - scores.softmax(0).numpy() * 254).max() <= 0.5 + 1e-3


def test_flips_are_averaged_as_in_tta(network, write_raster, tmp_path):
    from mmseg.models import SegTTAModel
    from mmseg.structures import SegDataSample

    assert views_of(network.cfg) == ((), (3,), (2,))
    pixels = scene(64, 96)
    bgr = torch.from_numpy(pixels[::-1].copy())
    turns = [(bgr, None), (bgr.flip(2), "horizontal"), (bgr.flip(1), "vertical")]
    common = dict(ori_shape=(64, 96), img_shape=(64, 96), img_path="x")
    samples = [[SegDataSample(metainfo=dict(**common, flip=bool(d), flip_direction=d))] for _, d in turns]
    tta = SegTTAModel(network)
    with torch.inference_mode():
        result = tta.test_step({"inputs": [[view] for view, _ in turns], "data_samples": samples})[0]
    found = map_of(write_raster(pixels), tmp_path / "map.tif", network, window=(96, 96), views=views_of(network.cfg))
    np.testing.assert_array_equal(found, result.pred_sem_seg.data[0].numpy())


def test_each_colour_is_where_it_was_painted(plain_model, write_raster, tmp_path):
    """Red is class 0, green 1, blue 2; a swap of channels anywhere shows."""
    pixels = np.zeros((3, 6, 90), np.uint8)
    for i in range(3):
        pixels[i, :, 30 * i : 30 * i + 30] = 255
    expected = np.repeat([[0, 1, 2]], 30, axis=1).repeat(6, 0)
    predictor = SegmentorScorer(plain_model, 3)
    table = load_metainfo("isaid")
    for bands, order in ((None, (0, 1, 2)), ((3, 2, 1), (2, 1, 0)), ((2, 3, 1), (2, 0, 1))):
        path = write_raster(pixels[list(order)], f"{order}.tif")
        target = tmp_path / f"map{order}.tif"
        map_raster(str(path), target, predictor, table, MapOptions(bands=bands, window=(16, 16)), {})
        with rasterio.open(target) as file:
            np.testing.assert_array_equal(file.read(1), expected)
