"""Texts: prompts, tokens as open_clip makes them, and when their features are computed anew."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
import torch

from rsseg.models.gsnet.clip import CLIP
from rsseg.models.gsnet.text import TextCache, Vocabulary, text_embeddings

NAMES = ["soccer-ball-field", "expresswalltoll station", "Road"]


@pytest.fixture
def clip():
    torch.manual_seed(0)
    seen = dict(width=64, layers=2, heads=1, patch=8, grid=4)
    return CLIP(visual=seen, text=dict(width=32, layers=2, heads=1), embed=16, resolution=32, taps=(0,)).eval()


class Counting(TextCache):
    """Says how often texts were encoded."""

    def __init__(self, clip, monkeypatch):
        super().__init__()
        self.clip, self.count = clip, 0
        encode = clip.encode_text

        def counted(tokens):
            self.count += 1
            return encode(tokens)

        monkeypatch.setattr(clip, "encode_text", counted)

    def get(self, names=NAMES):
        with torch.no_grad():
            return self.embeddings(self.clip, Vocabulary(names))


@pytest.fixture
def cache(clip, monkeypatch):
    return Counting(clip, monkeypatch)


def test_prompts():
    vocabulary = Vocabulary(["soccer-ball-field", "road, street"])
    assert vocabulary.prompts == ("A photo of a soccer-ball-field in the scene", "A photo of a road in the scene")
    assert len(vocabulary) == 2 and vocabulary.names == ("soccer-ball-field", "road, street")
    assert Vocabulary(["a"], template="{}!").prompts == ("a!",)
    assert Vocabulary(["{a}"], template="{} {b}").prompts == ("{a} {b}",)
    assert Vocabulary(["a"]).key == Vocabulary(("a",)).key != Vocabulary(["b"]).key


def test_tokens_are_open_clip_s_cut_to_the_longest():
    """In lower case; "a photo of a ... in the scene" has seven words, and each text its start and end."""
    import open_clip

    vocabulary = Vocabulary(NAMES)
    expected = open_clip.tokenize(list(vocabulary.prompts))
    length = int(expected.argmax(1).max()) + 1
    assert vocabulary.tokens.dtype == torch.int64 and torch.equal(vocabulary.tokens, expected[:, :length])
    assert (vocabulary.tokens[2] > 0).sum() == 2 + 7 + 1


def test_class_tables_give_their_prompts(tmp_path):
    rows = [
        dict(id=0, name="building", color="#000001", prompts=["tall house", "house"]),
        dict(id=1, name="tree", color="#000002", prompts=["tree"]),
    ]
    file = tmp_path / "own.json"
    file.write_text(json.dumps(dict(name="Own", source="here", categories=rows)), encoding="utf-8")
    assert Vocabulary.of(str(file)).names == ("tall house", "tree")
    assert Vocabulary.of("potsdam").names[:2] == ("impervious surface", "building")
    assert Vocabulary.of(["x", "y"]).names == ("x", "y")


@pytest.mark.parametrize(
    ("names", "template", "message"),
    [
        ([], "{}", "expected at least one name"),
        (["a", " "], "{}", "none of them empty"),
        (["A", "b", "a"], "{}", r"repeated: \['a'\]"),
        (["a"], "a photo", "expected exactly one {}"),
        ("potsdam", "{}", "expected a list of names"),
    ],
)
def test_vocabularies_that_cannot_be(names, template, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(names, template)


def test_texts_that_are_too_long():
    with pytest.raises(ValueError, match=r"'A photo of a road road .* has 109 tokens, but CLIP reads at most 77"):
        _ = Vocabulary([" ".join(["road"] * 100)]).tokens


def test_features_have_length_one_and_depend_on_their_own_text_only(clip):
    three, alone = text_embeddings(clip, Vocabulary(NAMES)), text_embeddings(clip, Vocabulary(NAMES[2:]))
    assert three.shape == (3, 16)
    torch.testing.assert_close(three.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(three[2:], alone, atol=1e-6, rtol=0)


def test_features_are_kept_for_each_vocabulary(cache):
    first, other = cache.get(), cache.get(["a"])
    assert cache.get() is first and cache.get(["a"]) is other and cache.count == 2
    for i in range(20):
        cache.get([f"name {i}"])
    cache.get()
    assert cache.count == 2 + 20 + 1  # only the latest are kept
    assert torch.equal(deepcopy(cache._kept)[Vocabulary(NAMES).key], first)


def optimizer_step(clip, name):
    optimizer = torch.optim.AdamW([clip.get_parameter(name)], lr=1e-2)
    clip.get_parameter(name).grad = torch.ones_like(clip.get_parameter(name))
    optimizer.step()


@torch.no_grad()
def in_place(clip, name):
    clip.get_parameter(name).view(-1)[3] += 1e-3


def behind_autograd(clip, name):
    clip.get_parameter(name).data[0].add_(1.5)


def loaded(clip, name):
    clip.load_state_dict({**clip.state_dict(), name: clip.state_dict()[name] + 1})


def replaced(clip, name):
    clip.get_parameter(name).data = clip.get_parameter(name).data + 2


WEIGHTS = [
    "token_embedding.weight",
    "positional_embedding",
    "text_projection",
    "ln_final.bias",
    "transformer.resblocks.0.attn.q_proj_weight",
    "transformer.resblocks.1.mlp.c_fc.bias",
]


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("change", [optimizer_step, in_place, behind_autograd, loaded, replaced])
def test_features_are_computed_anew_when_a_weight_changes(cache, change, name):
    cache.get()
    change(cache.clip, name)
    with torch.no_grad():
        expected = text_embeddings(cache.clip, Vocabulary(NAMES))
    cache.count = 0
    assert torch.equal(cache.get(), expected) and cache.count == 1
    assert torch.equal(cache.get(), expected) and cache.count == 1


@pytest.mark.parametrize("name", [name for name in WEIGHTS if "bias" not in name])
@pytest.mark.parametrize("axis", [0, 1])
def test_weights_that_change_places_are_a_change(cache, name, axis):
    first, weight = cache.get(), cache.clip.get_parameter(name)
    weight.data.copy_(weight.data.roll(1, axis))
    assert not torch.equal(cache.get(), first) and cache.count == 2


def test_other_types_and_autocast(cache):
    plain = cache.get()
    with torch.autocast("cpu", torch.bfloat16):
        cast = cache.get()
        assert cache.get() is cast
    assert cache.count == 2 and not torch.equal(cast, plain) and cache.get() is not cast
    cache.clip.double()
    assert cache.get().dtype == torch.float64


def test_weights_of_images_and_equal_weights_change_nothing(cache):
    first = cache.get()
    cache.clip.visual.proj.data.add_(1)
    cache.clip.logit_scale.data.add_(1)
    cache.clip.load_state_dict(deepcopy(cache.clip.state_dict()))
    assert cache.get() is first and cache.count == 1


def test_nothing_is_kept_in_training_or_with_gradients(cache):
    vocabulary = Vocabulary(NAMES)
    kept = cache.get()
    with_gradient = cache.embeddings(cache.clip, vocabulary)
    assert with_gradient.requires_grad and torch.equal(with_gradient, kept)
    cache.clip.train()
    with torch.no_grad():
        assert cache.embeddings(cache.clip, vocabulary) is not cache.embeddings(cache.clip, vocabulary)
    assert cache.count == 4


def test_a_missing_tokenizer_is_named(monkeypatch):
    import sys

    from rsseg.models.gsnet import text

    text._tokenizer.cache_clear()
    monkeypatch.setitem(sys.modules, "open_clip.tokenizer", None)
    with pytest.raises(ImportError, match=r'tokenizer of open_clip: pip install "rsseg\[optional\]"'):
        _ = Vocabulary(NAMES).tokens


def test_template_sets_are_averaged() -> None:
    words = Vocabulary(["road", "sea, ocean"], "vild")
    assert len(words) == 2 and len(words.prompts) == 28
    assert words.prompts[0] == "a photo of a road." and words.prompts[27] == "There is a large sea in the scene."
    features = torch.nn.functional.normalize(torch.randn(28, 8), dim=-1)
    pooled = words.pool(features)
    for i in range(2):
        mean = sum(features[14 * i : 14 * i + 14]) / 14
        torch.testing.assert_close(pooled[i], mean / mean.norm())
    with pytest.raises(ValueError, match="or one of: vild, imagenet"):
        Vocabulary(["road"], "vit")
