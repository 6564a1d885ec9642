"""From views to whole images: where they are cut, how they are merged, and images of several sizes."""

import pytest
import torch
from mmseg.structures import SegDataSample
from torch.nn import functional

from rsseg.models.gsnet import AnySizePreprocessor, FiveViews
from rsseg.models.gsnet.inference import stored_image


def test_the_released_views() -> None:
    views = FiveViews()
    starts = [(rows.start, columns.start) for rows, columns in views.places]
    assert starts == [(0, 0), (0, 256), (256, 0), (256, 256)]
    assert len(views) == 5
    image = torch.rand(3, 500, 700)
    cut = views.cut(image)
    assert cut.shape == (5, 3, 384, 384)
    canvas = functional.interpolate(image[None], (640, 640), mode="bilinear", align_corners=False)
    torch.testing.assert_close(cut[1], canvas[0, :, :384, 256:])
    torch.testing.assert_close(cut[4], functional.interpolate(image[None], (384, 384), mode="bilinear")[0])


def test_half_is_the_windows_and_half_the_whole() -> None:
    views = FiveViews(size=6, crop=4, overlap=0.5)
    logits = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])[:, None, None, None].expand(5, 1, 4, 4)
    out = views.merge(logits)
    p = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]).sigmoid()
    assert out.shape == (1, 6, 6)
    torch.testing.assert_close(out[0, 0, 0], (p[0] + p[4]) / 2)
    torch.testing.assert_close(out[0, 0, 3], ((p[0] + p[1]) / 2 + p[4]) / 2)
    torch.testing.assert_close(out[0, 5, 2], ((p[2] + p[3]) / 2 + p[4]) / 2)
    torch.testing.assert_close(out[0, 2, 2], (p[:4].mean() + p[4]) / 2)


def test_windows_must_fill_the_canvas() -> None:
    with pytest.raises(ValueError, match="windows of 384 pixels with stride 256 do not cover 600 pixels exactly"):
        FiveViews(size=600)


def test_five_views_are_those_of_the_plain_form(build, plain) -> None:
    model = build()
    image = torch.randn(1, 3, 90, 130)
    with torch.no_grad():
        ours = model._scores([image[0]], [(106, 106)])[0]
        torch.testing.assert_close(ours, plain.five_views(model, image, model.embed_text(), 106), rtol=0, atol=1e-5)
        resized = functional.interpolate(ours[None], (90, 130), mode="bilinear", align_corners=False)
        torch.testing.assert_close(model.inference(image), resized, rtol=0, atol=1e-5)


def test_a_batch_is_its_images(build) -> None:
    model = build()
    images = [torch.randn(3, 50, 70), torch.randn(3, 64, 40), torch.randn(3, 50, 70)]
    with torch.no_grad():
        together = model.predict(images)
        alone = [model.predict(image[None])[0] for image in images]
    for image, one, other in zip(images, together, alone, strict=True):
        assert one.pred_sem_seg.data.shape == (1, *image.shape[1:])
        torch.testing.assert_close(one.seg_logits.data, other.seg_logits.data, rtol=0, atol=1e-5)


def test_probabilities_go_to_the_original_size_at_once(build) -> None:
    model = build()
    image = torch.randn(1, 3, 40, 60)
    sample = SegDataSample(metainfo=dict(ori_shape=(97, 143), img_shape=(40, 60)))
    with torch.no_grad():
        out = model.predict(image, [sample])[0]
        expected = model._scores([image[0]], [(97, 143)])[0]
    assert torch.equal(out.seg_logits.data, expected)
    assert torch.equal(out.pred_sem_seg.data, expected.argmax(0, keepdim=True))


def test_padding_and_flips_are_undone(build) -> None:
    model = build()
    image = torch.randn(3, 40, 60)
    padded = functional.pad(image, (0, 4, 0, 24)).flip(1)[None]  # padded at the bottom, then turned upside down
    assert torch.equal(stored_image(padded[0], dict(padding_size=[0, 4, 24, 0])), image.flip(1))
    flipped = SegDataSample(metainfo=dict(padding_size=[0, 4, 24, 0], flip=True, flip_direction="vertical"))
    with torch.no_grad():
        out = model.predict(padded, [flipped])[0].seg_logits.data
        torch.testing.assert_close(out, model._scores([image.flip(1)], [(40, 60)])[0].flip(1))


def test_whole_and_sliding(build) -> None:
    model = build(test_cfg=dict(mode="whole"))
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        coarse = model(image).sigmoid()
        whole = model.inference(image)
        torch.testing.assert_close(whole, functional.interpolate(coarse, (64, 64), mode="bilinear"))
        model.test_cfg = dict(mode="slide", crop_size=(64, 64), stride=(32, 32))
        torch.testing.assert_close(model.inference(image), model.encode_decode(image).sigmoid())
        wide = torch.cat([image, torch.randn(1, 3, 64, 32)], 3)
        out = model.inference(wide)
        right = model.encode_decode(wide[..., 32:]).sigmoid()
    torch.testing.assert_close(out[..., 64:], right[..., 32:])
    left = model.encode_decode(image).sigmoid().detach()
    torch.testing.assert_close(out[..., 40], (left[..., 40] + right[..., 8]) / 2)


def test_images_of_several_sizes_become_a_list() -> None:
    preprocessor = AnySizePreprocessor(mean=[1.0] * 3, std=[2.0] * 3, bgr_to_rgb=True, size_divisor=1)
    images = [torch.zeros(3, 4, 5, dtype=torch.uint8), torch.full((3, 2, 2), 3, dtype=torch.uint8)]
    images[0][0] = 9  # blue
    samples = [SegDataSample(), SegDataSample()]
    out = preprocessor({"inputs": images, "data_samples": samples})
    assert [tuple(image.shape) for image in out["inputs"]] == [(3, 4, 5), (3, 2, 2)]
    assert out["inputs"][0][2].unique().item() == 4.0
    assert len(out["data_samples"]) == 2
    same = preprocessor({"inputs": images[1:] * 2, "data_samples": samples})
    assert same["inputs"].shape == (2, 3, 2, 2)


@pytest.mark.parametrize("classes", [1, 3])
def test_flips_are_averaged_as_the_probabilities_they_are(build, classes: int) -> None:
    """A softmax of them would change the scores, and with them the best class and what the threshold leaves."""
    from rsseg.models import FlipsModel

    model = build(vocabulary=[f"class {i}" for i in range(classes)])
    model.test_cfg["threshold"] = 0.5
    image = torch.randn(3, 40, 60)
    common = dict(ori_shape=(40, 60), img_shape=(40, 60), img_path="x.png")
    turns = [(image, dict(flip=False)), (image.flip(2), dict(flip=True, flip_direction="horizontal"))]
    views = [[SegDataSample(metainfo={**common, **turn})] for _, turn in turns]
    with torch.no_grad():
        (out,) = FlipsModel(model).test_step({"inputs": [[view] for view, _ in turns], "data_samples": views})
        expected = model._scores([image], [(40, 60)])[0] / 2 + model._scores([image.flip(2)], [(40, 60)])[0].flip(2) / 2
    torch.testing.assert_close(out.seg_logits.data, expected)
    assert torch.equal(out.pred_sem_seg.data[0], model.labels_of(out.seg_logits.data))
    assert out.img_path == "x.png"


def test_the_five_views_take_sides_as_a_pair() -> None:
    assert FiveViews(crop=(384, 384)).places == FiveViews(crop=384).places
    with pytest.raises(ValueError, match="squares"):
        FiveViews(crop=(384, 256))
