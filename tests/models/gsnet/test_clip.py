"""CLIP: taps and texts as open_clip gives them, the last block by its formula, positions, and every kind of file."""

from __future__ import annotations

import hashlib
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from rsseg.models.gsnet.clip import CLIP
from rsseg.models.gsnet.clip_files import read_clip, translate
from rsseg.structures.keys import compare_keys

WIDTH, LAYERS = 64, 4
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:FutureWarning")  # OpenAI's files are such
VISUAL = dict(width=WIDTH, layers=LAYERS, heads=1, patch=8, grid=4)
TEXT = dict(width=64, layers=3, heads=1, vocabulary=60, context=20)
SMALL = dict(visual=VISUAL, text=TEXT, embed=16, resolution=32, taps=(0, 2))
TOKENS = torch.tensor([[58, 4, 7, 59, 0, 0, 0], [58, 1, 59, 0, 0, 0, 0], [58, 2, 3, 9, 59, 0, 0]])


def clip(**changes):
    torch.manual_seed(0)
    return CLIP(**{**SMALL, **changes}).eval()


@pytest.fixture(scope="module")
def reference():
    """open_clip's own model of these sizes; all its weights differ from what it starts with."""
    from open_clip.model import CLIP as OpenCLIP
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(1)
    seen = CLIPVisionCfg(layers=LAYERS, width=WIDTH, head_width=64, patch_size=8, image_size=32)
    read = CLIPTextCfg(context_length=20, vocab_size=60, width=64, heads=1, layers=3)
    model = OpenCLIP(16, seen, read, quick_gelu=True).eval()
    for value in model.parameters():
        value.data += 0.1 * torch.randn_like(value)
    return model


@pytest.fixture
def file(reference, tmp_path):
    torch.save(reference.state_dict(), tmp_path / "clip.pt")
    return str(tmp_path / "clip.pt")


def loaded(path, **changes):
    model = clip(weights=path, **changes)
    model.init_weights()
    return model


def test_published_sizes_have_published_names():
    """OpenAI's names, with three projections in place of one; counts as in GSNet's release."""
    with torch.device("meta"):
        state = CLIP().state_dict()
    of_images = sum(value.numel() for key, value in state.items() if key.startswith("visual."))
    assert (of_images, sum(value.numel() for value in state.values())) == (86_192_640, 86_192_640 + 63_428_097)
    attention = "resblocks.11.attn"
    assert state[f"visual.transformer.{attention}.q_proj_weight"].shape == (768, 768)
    assert state[f"transformer.{attention}.in_proj_bias"].shape == (1536,)
    assert state["visual.positional_embedding"].shape == (197, 768) and state["logit_scale"].shape == ()
    assert not [key for key in state if "in_proj_weight" in key]


@pytest.mark.parametrize(("patch", "grid"), [(16, 14), (32, 7)])
def test_open_clip_s_models_have_all_that_ours_have(patch, grid):
    from open_clip import get_model_config
    from open_clip.model import CLIP as OpenCLIP

    config = get_model_config(f"ViT-B-{patch}")
    with torch.device("meta"):
        theirs = OpenCLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"]).state_dict()
        ours = CLIP(visual=dict(patch=patch, grid=grid)).state_dict()
    assert not compare_keys(translate(theirs, "file"), ours)


def test_taps_and_texts_are_open_clip_s(reference, file):
    model, images = loaded(file), torch.randn(2, 3, 32, 32)
    outputs = []
    for block in reference.visual.transformer.resblocks:
        block.register_forward_hook(lambda module, args, out: outputs.append(out))
    with torch.no_grad():
        reference.encode_image(images)
        _, taps = model.encode_image(images)
        theirs = reference.encode_text(functional.pad(TOKENS, (0, 13)))
        torch.testing.assert_close(model.encode_text(TOKENS), theirs, atol=1e-5, rtol=0)
        torch.testing.assert_close(model.encode_text(functional.pad(TOKENS, (0, 13))), theirs, atol=1e-5, rtol=0)
    for block, tap in zip((0, 2), taps, strict=True):
        expected = outputs[block][:, 1:].transpose(1, 2).reshape(2, WIDTH, 4, 4)
        torch.testing.assert_close(tap, expected, atol=1e-5, rtol=0)


def test_whole_images_are_open_clip_s_and_places_may_be_changed_between_blocks(reference, file):
    model, images, seen = loaded(file), torch.randn(2, 3, 32, 32), []

    def look(depth, places):
        seen.append((depth, places))
        return places

    def blank(depth, places):
        return torch.zeros_like(places) if depth == 2 else places

    with torch.no_grad():
        blocks = list(model.visual.trace(images, look))
        torch.testing.assert_close(model.visual.whole(blocks[-1]), reference.encode_image(images), atol=1e-5, rtol=0)
        assert [depth for depth, _ in seen] == [0, 1, 2, 3, 4]
        assert torch.equal(seen[0][1], model.visual.conv1(images).flatten(2).transpose(1, 2))
        assert all(torch.equal(own[1], x[:, 1:]) for own, x in zip(seen[1:], blocks, strict=True))
        changed = list(model.visual.trace(images, blank))
        assert torch.equal(changed[1][:, :1], blocks[1][:, :1]) and not changed[1][:, 1:].any()
        torch.testing.assert_close(changed[2], model.visual.transformer.resblocks[2](changed[1]))


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_the_last_block_by_its_formula(reference, file, activation):
    """v = out(V(ln_1(x))) + class token's row of x, then + mlp(ln_2(v)); ln_post and projection for every place."""
    model, images = loaded(file, activation=activation, taps=(2,)), torch.randn(2, 3, 32, 32)
    block = reference.visual.transformer.resblocks[3]
    value_weight, value_bias = block.attn.in_proj_weight[2 * WIDTH :], block.attn.in_proj_bias[2 * WIDTH :]
    inputs = []
    model.visual.transformer.resblocks[2].register_forward_hook(lambda module, args, out: inputs.append(out))
    with torch.no_grad():
        dense, _ = model.encode_image(images)
        x = inputs[0]
        v = block.attn.out_proj(block.ln_1(x) @ value_weight.T + value_bias) + x[:, :1]
        hidden = block.mlp.c_fc(block.ln_2(v))
        curve = hidden * torch.sigmoid(1.702 * hidden) if activation == "quick_gelu" else functional.gelu(hidden)
        v = v + block.mlp.c_proj(curve)
        expected = (reference.visual.ln_post(v) @ reference.visual.proj)[:, 1:].transpose(1, 2).reshape(2, 16, 4, 4)
    torch.testing.assert_close(dense, expected, atol=1e-5, rtol=0)


def test_positions_are_resized_bicubically_to_the_grid():
    """A table of 4 x 4 at 6 x 6 patches acts as the table of 6 x 6 that bicubic interpolation makes of it."""
    small, large = clip(resolution=48), clip(resolution=48, visual={**VISUAL, "grid": 6})
    state = small.state_dict()
    table = state["visual.positional_embedding"]
    square = functional.interpolate(table[1:].T.reshape(1, WIDTH, 4, 4), size=(6, 6), mode="bicubic")
    state["visual.positional_embedding"] = torch.cat([table[:1], square[0].reshape(WIDTH, 36).T])
    large.load_state_dict(state)
    images = torch.randn(1, 3, 48, 48)
    torch.testing.assert_close(small.encode_image(images)[0], large.encode_image(images)[0])


def test_images_of_any_size_are_squeezed():
    model, images = clip(), torch.randn(2, 3, 50, 29)
    squeezed = functional.interpolate(images, (32, 32), mode="bilinear", align_corners=False)
    assert (model.grid, model.channels, model.embed, model.context) == (4, WIDTH, 16, 20)
    assert torch.equal(model.encode_image(images)[0], model.encode_image(squeezed)[0])


def test_gradients_of_queries_and_values_and_bfloat16():
    model = clip().train()
    with torch.autocast("cpu", torch.bfloat16):
        dense, taps = model.encode_image(torch.randn(1, 3, 32, 32))
        (dense.sum() + sum(tap.sum() for tap in taps) + model.encode_text(TOKENS).sum()).backward()
    grads = {
        name: value.grad
        for name, value in model.named_parameters()
        if name.endswith(("q_proj_weight", "v_proj_weight"))
    }
    without = [name for name, grad in grads.items() if grad is None or not grad.any()]
    assert len(grads) == 14 and without == ["visual.transformer.resblocks.3.attn.q_proj_weight"]


class _Named(nn.Module):
    """A module with weights of given dotted names, like OpenAI's with half-precision weights and sizes as buffers."""

    def __init__(self, state):
        super().__init__()
        for key, value in state.items():
            head, _, rest = key.partition(".")
            if rest:
                inner = {k.partition(".")[2]: v for k, v in state.items() if k.startswith(f"{head}.")}
                self.add_module(head, self._modules.get(head) or _Named(inner))
            elif value.is_floating_point():
                self.register_parameter(head, nn.Parameter(value))
            else:
                self.register_buffer(head, value)

    def forward(self, x):
        return x + 1


def half(state):
    return {key: value.half() if value.dim() > 1 else value for key, value in state.items()}


def torchscript_file(state, path):
    sizes = {name: torch.tensor(32) for name in ("input_resolution", "context_length", "vocab_size")}
    torch.jit.trace(_Named({**half(state), **sizes}), torch.ones(1)).save(path)


def timm_files(state, path):
    """timm's tower for images at ``path``; beside it all of the texts'."""
    pairs = [
        ("transformer.resblocks", "blocks"),
        ("ln_1", "norm1"),
        ("ln_2", "norm2"),
        ("attn.in_proj_", "attn.qkv."),
        ("attn.out_proj", "attn.proj"),
        ("mlp.c_fc", "mlp.fc1"),
        ("mlp.c_proj", "mlp.fc2"),
        ("ln_pre", "norm_pre"),
        ("ln_post", "norm"),
        ("conv1", "patch_embed.proj"),
    ]
    tower = {}
    for key, value in state.items():
        if key.startswith("visual."):
            name = key.removeprefix("visual.")
            for old, new in pairs:
                name = name.replace(old, new)
            tower[name] = value
    tower["cls_token"] = tower.pop("class_embedding")[None, None]
    tower["pos_embed"] = tower.pop("positional_embedding")[None]
    tower["head.weight"] = tower.pop("proj").T.contiguous()
    tower["head.bias"] = torch.zeros(16)
    torch.save(tower, path)
    texts = {key: value for key, value in state.items() if not key.startswith("visual.")}
    torch.save(texts, path.with_name("texts.pt"))


WRITERS = {
    "OpenAI's archive": torchscript_file,
    "half precision": lambda state, path: torch.save(half(state), path),
    "RemoteCLIP": lambda state, path: torch.save({f"module.{key}": value for key, value in state.items()}, path),
    "open_clip in training": lambda state, path: torch.save(
        dict(epoch=3, name="run", state_dict={f"module.{key}": value for key, value in state.items()}), path
    ),
    "open_clip with a tower for texts": lambda state, path: torch.save(
        {k if k.startswith(("visual.", "logit")) else f"text.{k}": v for k, v in state.items()}
        | {"text.attn_mask": torch.zeros(20, 20)},
        path,
    ),
    "safetensors": lambda state, path: save_file(state, path.with_suffix(".safetensors")),
    "timm": timm_files,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_files(reference, tmp_path, kind):
    state = reference.state_dict()
    WRITERS[kind](state, tmp_path / "clip.pt")
    names = ["clip.pt", "texts.pt"] if kind == "timm" else [p.name for p in tmp_path.iterdir()]
    model = loaded([str(tmp_path / name) for name in names])
    block = "visual.transformer.resblocks.1.attn."
    expected = half(state) if kind in ("OpenAI's archive", "half precision") else state
    own = model.state_dict()
    for i, part in enumerate("qkv"):
        rows = expected[f"{block}in_proj_weight"][i * WIDTH : (i + 1) * WIDTH]
        assert torch.equal(own[f"{block}{part}_proj_weight"], rows.float())
    same = [key for key in own if "_proj_weight" not in key]
    assert len(same) == len(state) - 7 and all(torch.equal(own[key], expected[key].float()) for key in same)
    assert {value.dtype for value in own.values()} == {torch.float32}


def test_building_reads_nothing_and_a_missing_file_says_where_from(tmp_path):
    digest = "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"
    with torch.device("meta"):
        model = CLIP(weights=str(tmp_path / "weights/ViT-B-16.pt"))
    with pytest.raises(FileNotFoundError, match=rf"no such file.*SHA-256 {digest}.* curl -L -o .*/{digest}/ViT-B-16"):
        model.init_weights()
    with pytest.raises(FileNotFoundError, match=r"RemoteCLIP-ViT-B-32.pt from the hub chendelong/RemoteCLIP"):
        read_clip("none.pt", {"visual.conv1.weight": torch.Size([768, 3, 32, 32])})


MISTAKES = {
    "a key lost": (lambda s: {k: v for k, v in s.items() if k != "visual.proj"}, "1 missing: visual.proj"),
    "a key too many": (lambda s: s | {"odd": torch.ones(1)}, "1 unexpected: odd"),
    "another grid": (
        lambda s: s | {"visual.positional_embedding": torch.ones(10, WIDTH)},
        r"1 size mismatch: visual.positional_embedding \(10, 64\) for \(17, 64\)",
    ),
    "image encoder only": (
        lambda s: {k: v for k, v in s.items() if k.startswith("visual.")},
        r"clip.pt: has the image encoder only; .*weights=\[FILE, OTHER\]",
    ),
    "no weights": (lambda s: {"epoch": 3}, "holds no weights by name"),
    "code": (lambda s: {"state_dict": s, "args": hashlib.sha256}, "holds more than tensors"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_files_that_do_not_fit(reference, tmp_path, what):
    change, message = MISTAKES[what]
    torch.save(change(reference.state_dict()), tmp_path / "clip.pt")
    with pytest.raises(ValueError, match=message):
        loaded(str(tmp_path / "clip.pt"))


@pytest.mark.parametrize("name", ["clip.pt", "clip.safetensors"])
def test_damaged_files(reference, tmp_path, name):
    WRITERS["safetensors" if name.endswith("s") else "half precision"](reference.state_dict(), tmp_path / "clip.pt")
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:5000])
    with pytest.raises(ValueError, match=rf"{name}: not loaded(: it is cut short|, since it is damaged)"):
        loaded(str(tmp_path / name))


class _Touch:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def test_an_archive_runs_nothing(tmp_path):
    """What is no tensor, plain value or module is refused; so are tensors beyond their memory, and cut files."""
    mark, path = tmp_path / "ran", tmp_path / "clip.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clip/code/__torch__.py", "")
        archive.writestr("clip/version", "3\n")
        archive.writestr("clip/data.pkl", pickle.dumps(_Touch(mark), protocol=2))
    with pytest.raises(ValueError, match=r"clip.pt: this TorchScript archive cannot be read .*asks for io.open"):
        loaded(str(path))
    assert not mark.exists()
    for content in (b"", b"\x80\x02X\x02\x00\x00\x00\xff\xff.", b"\x80\x02K\x01K\x02a."):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("clip/code/__torch__.py", "")
            archive.writestr("clip/version", "3\n")
            archive.writestr("clip/data.pkl", content)
        with pytest.raises(ValueError, match=r"clip.pt: this TorchScript archive cannot be read"):
            loaded(str(path))
    torch.jit.trace(_Named({"a": torch.ones(3)}), torch.ones(1)).save(path)
    with zipfile.ZipFile(path) as archive:
        names = {name: archive.read(name) for name in archive.namelist() if not name.endswith("data/0")}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"cannot be read .*data/0"):
        loaded(str(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("clip/data/0", b"123")
    with pytest.raises(ValueError, match=r"cannot be read .*claims 12 bytes of numbers, but holds 3"):
        loaded(str(path))


def test_a_file_without_weights_misses_all(tmp_path):
    torch.save({}, tmp_path / "clip.pt")
    with pytest.raises(ValueError, match=r"does not match this CLIP model: \d+ missing"):
        loaded(str(tmp_path / "clip.pt"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(resolution=33), "resolution=33: expected a multiple of the patch size, 8"),
        (dict(taps=(3,)), r"taps=\(3,\): expected numbers from 0 to 2"),
        (dict(activation="relu"), "activation='relu': expected one of: quick_gelu, gelu"),
        (dict(visual={**VISUAL, "heads": 5}), "heads=5: expected a divisor of width=64"),
    ],
)
def test_settings_that_do_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        clip(**changes)


def test_texts_that_are_too_long():
    with pytest.raises(ValueError, match="the texts have 21 tokens; CLIP reads at most 20"):
        clip().encode_text(torch.tensor([[1] * 20 + [59]]))
