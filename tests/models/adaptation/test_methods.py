"""The methods on a tiny network: gradients of the one backward against the releases' several, and what is logged."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional

from rsseg.models.adaptation import clan, fada, iast, pycda
from tests.models.adaptation.tiny_domains import CLASSES, SIZE, network

pytestmark = pytest.mark.usefixtures("mmseg_scope")
RESNET = dict(
    type="ResNet",
    depth=18,
    stem_channels=4,
    base_channels=4,
    strides=(1, 2, 2, 1),
    dilations=(1, 1, 1, 2),
    contract_dilation=True,
)


def build(method: dict[str, Any], form: str, norm: str = "BN", iteration: int = 0) -> Any:
    torch.manual_seed(0)
    head = dict(
        type="DeepLabV2Head",
        form=form,
        num_classes=CLASSES,
        in_channels=[16, 32],
        channels=4,
        dilations=(1, 2),
        embedding=(6, 5),
        dropout_ratio=0,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    )
    backbone = {**RESNET, "norm_cfg": dict(type=norm)}
    model = MODELS.build(ConfigDict({**network(method), "backbone": backbone, "decode_head": head}))
    for name, parameter in model.named_parameters():
        if "adaptation" not in name and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)  # so that classes are not equally probable
    model.adaptation.iteration = iteration
    return model.train()


def batch() -> tuple[Tensor, list[SegDataSample], Tensor]:
    """Images, samples (target, source, source, target), and the source's labels."""
    torch.manual_seed(1)
    names = ["target", "source", "source", "target"]
    samples, labels = [SegDataSample(metainfo=dict(dataset_name=name)) for name in names], []
    for sample in samples[1:3]:
        labels.append(torch.randint(0, CLASSES, (SIZE, SIZE)))
        labels[-1][:3] = 255
        sample.gt_sem_seg = PixelData(data=labels[-1][None])
    return torch.randn(4, 3, SIZE, SIZE), samples, torch.stack(labels)


def gradients(model: Any) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def run(model: Any) -> dict[str, Tensor]:
    """One backward of all losses, as the runner does it."""
    inputs, samples, _ = batch()
    losses = model.loss(inputs, samples)
    sum(value for key, value in losses.items() if "loss" in key).backward()
    return losses


def outputs(model: Any, x: Tensor) -> dict[str, Tensor]:
    out = model.decode_head.outputs(model.extract_feat(x))
    return {key: up(value) if value.ndim == 4 else value for key, value in out.items()}


def up(x: Tensor) -> Tensor:
    return functional.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=True)


def ce(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(logits, labels, ignore_index=255)


def bce(logits: Tensor, domain: float, weights: Tensor | float = 1.0) -> Tensor:
    wanted = torch.full_like(logits, domain)
    return (functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weights).mean()


def thaw(model: Any, *critics: Any) -> None:
    """Discriminators train, after they have stood still."""
    for critic in critics:
        critic.requires_grad_(True)


def mmd_release(model: Any, source: Tensor, target: Tensor, labels: Tensor) -> dict[str, Tensor]:
    own, other = outputs(model, source), outputs(model, target)
    difference = own["embedding"] - other["embedding"]
    out = {"loss_source": ce(own["main"], labels), "loss_mmd": 0.25 * (difference @ difference.T).mean()}
    sum(out.values()).backward()
    return out


def output_release(model: Any, own: dict[str, Tensor], other: dict[str, Tensor], second: str, labels: Tensor) -> dict:
    """Source, then target with standing discriminators, then the discriminators."""
    method = model.adaptation
    critics = {"main": method.discriminator, second: method.auxiliary_discriminator}
    out = {"loss_source": ce(own["main"], labels), "loss_source_auxiliary": 0.1 * ce(own[second], labels)}
    for critic in critics.values():
        critic.requires_grad_(False)
    factors = {"main": method.main, second: method.auxiliary}
    hidden = [factors[name] * bce(critic(other[name].softmax(1)), 0) for name, critic in critics.items()]
    out["loss_adversarial"] = sum(hidden)
    (sum(out.values())).backward()
    thaw(model, *critics.values())
    for name, critic in critics.items():
        parts = bce(critic(own[name].detach().softmax(1)), 0) / 2, bce(critic(other[name].detach().softmax(1)), 1) / 2
        for part in parts:
            part.backward()
        out[f"loss_discriminator_{'main' if name == 'main' else 'auxiliary'}"] = sum(parts)
    return out


def adaptseg_release(model: Any, source: Tensor, target: Tensor, labels: Tensor) -> dict[str, Tensor]:
    return output_release(model, outputs(model, source), outputs(model, target), "auxiliary", labels)


def transnorm_release(model: Any, source: Tensor, target: Tensor, labels: Tensor) -> dict[str, Tensor]:
    both = outputs(model, torch.cat([source, target]))
    own, other = ({key: value.chunk(2)[i] for key, value in both.items()} for i in (0, 1))
    return output_release(model, own, other, "twin", labels)


def clan_release(model: Any, source: Tensor, target: Tensor, labels: Tensor) -> dict[str, Tensor]:
    critic, i = model.adaptation.discriminator, model.adaptation.iteration
    damping = 1 - i / 10000
    own, other = outputs(model, source), outputs(model, target)
    out = {"loss_source": ce(own["main"], labels) + ce(own["twin"], labels)}
    out["loss_source"].backward()
    critic.requires_grad_(False)
    first, second = (other[name].softmax(1) for name in ("main", "twin"))
    apart = 1 - (first * second).sum(1, keepdim=True) / (first.norm(dim=1) * second.norm(dim=1))[:, None]
    weights = 1 if i <= 750 else 0.4 + 10 * apart
    hidden = up(critic((other["main"] + other["twin"]).softmax(1)))
    out["loss_adversarial"] = model.adaptation.weight * damping * bce(hidden, 0, weights)
    out["loss_adversarial"].backward()
    head = model.decode_head
    flat = [torch.cat([p.flatten() for p in part.parameters()]) for part in (head.conv_seg, head.twin)]
    cosine = flat[0] @ flat[1] / (flat[0].norm() * flat[1].norm())
    out["loss_weights"] = 0.01 * 2 * damping * (cosine + 1)
    out["loss_weights"].backward()
    thaw(model, critic)
    said = [critic((x["main"] + x["twin"]).detach().softmax(1)) for x in (own, other)]
    fixed = weights if i <= 750 else weights.detach()
    out["loss_discriminator"] = (bce(said[0], 0) + bce(up(said[1]), 1, fixed)) / 2
    out["loss_discriminator"].backward()
    return out


def fada_release(model: Any, source: Tensor, target: Tensor, labels: Tensor) -> dict[str, Tensor]:
    critic, seen = model.adaptation.discriminator, []
    for x in (source, target):
        maps = model.extract_feat(x)
        seen.append((maps[2], up(model.decode_head(maps)) / 1.8))
    (own, logits), (other, unlabelled) = seen
    out = {"loss_source": 0.1 * ce(logits, labels)}
    out["loss_source"].backward()
    soft = [torch.minimum(z.detach().softmax(1), torch.tensor(0.9)) for z in (logits, unlabelled)]
    none = torch.zeros_like(soft[0])

    def soft_ce(x: Tensor, wanted: Tensor) -> Tensor:
        return -(wanted * up(x).log_softmax(1)).sum(1).mean()

    critic.requires_grad_(False)
    out["loss_adversarial"] = model.adaptation.weight * soft_ce(critic(other), torch.cat([soft[1], none], 1))
    out["loss_adversarial"].backward()
    thaw(model, critic)
    parts = [
        soft_ce(critic(own.detach()), torch.cat([soft[0], none], 1)) / 2,
        soft_ce(critic(other.detach()), torch.cat([none, soft[1]], 1)) / 2,
    ]
    for part in parts:
        part.backward()
    out["loss_discriminator"] = sum(parts)
    return out


SMALL = dict(channels=4)
LOUD = dict(main=2.0, auxiliary=1.0, **SMALL)  # so that the target's gradients show beside the source's
CASES: dict[str, tuple[dict[str, Any], str, Any, dict[str, Any]]] = {
    "mmd": (dict(type="MMD", weight=0.25), "mmd", mmd_release, {}),
    "adaptseg": (dict(type="AdaptSeg", **LOUD), "cascade", adaptseg_release, {}),
    "transnorm": (dict(type="TransNormAdaptation", **LOUD), "twin", transnorm_release, dict(norm="TransNorm")),
    "clan": (dict(type="CLAN", weight=2.0, **SMALL), "twin", clan_release, {}),
    "clan_local": (dict(type="CLAN", weight=2.0, **SMALL), "twin", clan_release, dict(iteration=1000)),
    "fada": (dict(type="FADA", weight=2.0, channels=(6, 5)), "single", fada_release, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_one_backward_has_the_gradients_of_the_releases_several(case):
    method, form, release, options = CASES[case]
    model = build(method, form, **options)
    other = deepcopy(model)
    inputs, _, labels = batch()
    expected = release(other, inputs[1:3], inputs[[0, 3]], labels)
    found = run(model)
    assert {key for key in found if "loss" in key} == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-5, atol=1e-7)
    own, theirs = gradients(model), gradients(other)
    assert own.keys() == theirs.keys() and any("adaptation" in key for key in own) == ("mmd" not in case)
    for key, value in theirs.items():
        torch.testing.assert_close(own[key], value, rtol=1e-4, atol=2e-6 * value.abs().max().item() + 1e-8, msg=key)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in other.state_dict().items() if "run" in key)
    assert all(p.requires_grad for p in model.parameters())


def test_the_target_teaches_fada_the_encoder_before_its_last_stage_only():
    model = build(*CASES["fada"][:2])
    inputs, samples, _ = batch()
    model.loss(inputs, samples)["loss_adversarial"].backward()
    taught = {".".join(name.split(".")[:2]) for name in gradients(model)}
    assert taught == {"backbone.conv1", "backbone.bn1", "backbone.layer1", "backbone.layer2", "backbone.layer3"}


def test_pycda_steps_twice():
    model = build(dict(type="PyCDA", threshold=0.4, boxes=(2, 4)), "ppm")
    method = model.adaptation
    assert (method.steps, method.unclipped) == (2, {0})
    inputs, samples, labels = batch()
    other, model.step, model._stepped = deepcopy(model), 0, True
    found = model.loss(inputs, samples)
    torch.testing.assert_close(found["loss_source"], ce(outputs(other, inputs[1:3])["main"], labels))
    counts = torch.stack([(labels == c).sum() for c in range(CLASSES)])
    assert torch.equal(method.source_pixels, counts)
    model.step = 1
    found = model.loss(inputs, samples)
    logits = outputs(other, inputs[[0, 3]])["main"]
    loss, count = pycda.self_label_loss(logits, 0.4, (2, 4))
    torch.testing.assert_close(found["loss_self_labels"], 0.5 * loss)
    assert found["sure"].item() == count.item() > 0
    torch.testing.assert_close(found["loss_balance"], pycda.class_balance_loss(logits, counts / counts.sum()))
    assert method.iteration == 1
    release = build(dict(type="PyCDA", release_defects=True, prior=[0.7, 0.2, 0.1]), "ppm").adaptation
    assert release.release_defects and release._shares().tolist() == pytest.approx([0.7, 0.2, 0.1])
    nothing = build(dict(type="PyCDA"), "ppm").adaptation
    assert nothing._shares().tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("kind", ["CBST", "IAST"])
def test_self_training_begins_late(kind, monkeypatch):
    model = build(dict(type=kind, start=2), "ppm", iteration=1)
    method, (inputs, samples, labels) = model.adaptation, batch()
    other, other_two = deepcopy(model), deepcopy(model)
    found = model.loss(inputs, samples)
    torch.testing.assert_close(found, {"loss_source": ce(outputs(other, inputs[1:3])["main"], labels)})
    pseudo = torch.randint(0, CLASSES, (2, SIZE, SIZE))
    pseudo[:, :20] = 255
    monkeypatch.setattr(method, "pseudo_labels", lambda target: pseudo)
    method.keep_pictures = True
    found = model.loss(inputs, samples)
    outputs(other_two, inputs[1:3])
    logits = outputs(other_two, inputs[[0, 3]])["main"]
    torch.testing.assert_close(found["loss_target"], 0.5 * ce(logits, pseudo))
    assert found["labelled"].item() == pytest.approx(12 / 32) and torch.equal(method.pictures["pseudo_label"], pseudo)
    assert {"threshold/0", "kept/2"} <= set(found)
    if kind == "IAST":
        torch.testing.assert_close(found["loss_entropy"], 3 * iast.entropy_loss(logits, pseudo)[0])
        torch.testing.assert_close(found["loss_divergence"], 0.1 * iast.kept_divergence(logits, pseudo)[0])
    nothing = model.loss(inputs, samples) if pseudo.fill_(255) is not None else {}
    assert nothing["loss_target"].item() == 0 and all(value.isfinite() for value in nothing.values())


def test_a_source_without_labelled_pixels_costs_0():
    for case in ("adaptseg", "clan", "fada", "mmd"):
        model = build(*CASES[case][:2])
        inputs, samples, _ = batch()
        for sample in samples[1:3]:
            sample.gt_sem_seg.data[:] = 255
        losses = model.loss(inputs, samples)
        assert losses["loss_source"].item() == 0 and all(value.isfinite() for value in losses.values())


def test_accuracies_are_logged():
    for case in ("adaptseg", "clan", "fada"):
        found = run(build(*CASES[case][:2]))
        assert any(key.startswith("accuracy_discriminator") and 0 <= value <= 1 for key, value in found.items())


@pytest.mark.parametrize(
    ("method", "form", "message"),
    [
        (dict(type="MMD"), "single", "MMD needs .*form='mmd'.*not DeepLabV2Head of form 'single'"),
        (dict(type="CLAN"), "cascade", "CLAN needs .*form='twin'"),
        (dict(type="TransNormAdaptation"), "twin", "norm_cfg=dict.type='TransNorm'"),
        (dict(type="PyCDA", prior=[0.5, 0.5]), "ppm", "has 2 shares for 3 classes"),
    ],
)
def test_what_does_not_fit_is_named(method, form, message):
    with pytest.raises(ValueError, match=message):
        build(method, form)


def test_other_heads_need_to_name_the_features():
    with pytest.raises(ValueError, match="FADA needs the features before the last stage, which FCNHead does not name"):
        MODELS.build(ConfigDict(network(dict(type="FADA"))))
    model = MODELS.build(ConfigDict(network(dict(type="FADA", in_index=2, in_channels=8, channels=(6, 5)))))
    assert model.adaptation.discriminator.source.in_channels == 5
    with pytest.raises(ValueError, match=r"not FCNHead"):
        MODELS.build(ConfigDict(network(dict(type="MMD"))))


def test_transnorm_needs_as_many_images_of_both():
    model = build(dict(type="TransNormAdaptation", **SMALL), "twin", "TransNorm")
    inputs, samples, _ = batch()
    with pytest.raises(ValueError, match="got 2 and 1 images"):
        model.loss(inputs[1:], samples[1:])


def test_transnorm_is_for_its_own_method():
    with pytest.raises(ValueError, match="CLAN gives the network batches of one domain"):
        build(dict(type="CLAN", **SMALL), "twin", "TransNorm")


def test_constants_are_the_facts():
    assert (clan.damping(375), fada.TEMPERATURE) == (0.9625, 1.8)
    weights = {name: MODELS.build(dict(type=name)).weight for name in ("MMD", "CLAN", "FADA", "PyCDA")}
    assert weights == {"MMD": 0.01, "CLAN": 0.001, "FADA": 0.001, "PyCDA": 0.5}
    method = MODELS.build(dict(type="AdaptSeg"))
    assert (method.main, method.auxiliary, method.auxiliary_source) == (0.001, 0.0002, 0.1)
