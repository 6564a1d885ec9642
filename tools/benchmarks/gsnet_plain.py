"""The plain forms of GSNet's modules, as the release computes them, on the weights of ours.

Guidance is repeated for every class or place and concatenated before it is projected, classes are padded to 256 tokens
that are carried along, attention matrices are kept in full, every block of DINO is normalised.  Shapes: B images,
T classes, C channels, S = h * w places, N = B * T.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

Tensor = torch.Tensor


def _heads(x: Tensor, heads: int) -> Tensor:
    """(N, L, C) -> (N, heads, L, C / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _softmax_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Output (N, L, C) and the attention matrices (N, heads, L, L) of q, k, v (N, heads, L, D)."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    matrices = (scores if mask is None else scores + mask).softmax(-1)
    return (matrices @ v).transpose(1, 2).flatten(2), matrices


def clip_image(clip: Any, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """``CLIP.encode_image``: averaged attention matrices are made, the last block's queries and keys too."""
    tower, taps = clip.visual, []
    patches = tower.conv1(images)
    side = patches.shape[2]
    x = torch.cat([tower.class_embedding.expand(len(images), 1, -1), patches.flatten(2).transpose(1, 2)], 1)
    square = tower.positional_embedding[1:].T.reshape(1, -1, tower.grid, tower.grid)
    square = functional.interpolate(square, (side, side), mode="bicubic", align_corners=False)
    x = tower.ln_pre(x + torch.cat([tower.positional_embedding[:1], square[0].flatten(1).T]))
    for i, block in enumerate(tower.transformer.resblocks):
        attention, y = block.attn, block.ln_1(x)
        weights = (attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight)
        biases = attention.in_proj_bias.chunk(3)
        q, k, v = (functional.linear(y, weight, bias) for weight, bias in zip(weights, biases, strict=True))
        if i == len(tower.transformer.resblocks) - 1:
            x = x[:, :1] + attention.out_proj(v)
        else:
            mixed, matrices = _softmax_attention(*(_heads(part, attention.heads) for part in (q, k, v)))
            matrices.mean(1)
            x = x + attention.out_proj(mixed)
        x = x + block.mlp(block.ln_2(x))
        taps.append(x[:, 1:].transpose(1, 2).unflatten(2, (side, side)))
    dense = tower.ln_post(x) @ tower.proj
    return dense[:, 1:].transpose(1, 2).unflatten(2, (side, side)), [taps[i] for i in clip.taps]


def dino_maps(dino: Any, images: Tensor) -> list[Tensor]:
    """``DINO.forward``: attention in full, and the last norm behind every block."""
    patches = dino.patch_embed.proj(images)
    side = patches.shape[2]
    square = dino.pos_embed[:, 1:].transpose(1, 2).unflatten(2, (dino.table_side,) * 2)
    square = functional.interpolate(square, scale_factor=(side + 0.1) / dino.table_side, mode="bicubic")
    x = torch.cat([dino.cls_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], 1)
    x = x + torch.cat([dino.pos_embed[:, :1], square.flatten(2).transpose(1, 2)], 1)
    out = []
    for block in dino.blocks:
        q, k, v = (_heads(part, block.attn.heads) for part in block.attn.qkv(block.norm1(x)).chunk(3, -1))
        mixed, _ = _softmax_attention(q, k, v)
        x = x + block.attn.proj(mixed)
        x = x + block.mlp(block.norm2(x))
        out.append(dino.norm(x))
    return [out[i][:, 1:].transpose(1, 2).unflatten(2, (side, side)) for i in dino.taps]


def fusion(module: Any, clip: Tensor, dino: Tensor, text: Tensor) -> Tensor:
    """``QueryGuidedFusion``: (N, C, h, w)."""
    text = functional.normalize(text, dim=-1).expand(clip.shape[0], -1, -1)
    costs = [torch.einsum("bchw,btc->bthw", functional.normalize(x, dim=1), text) for x in (clip, dino)]
    general = module.conv1(costs[0].flatten(0, 1)[:, None]).sigmoid()
    special = module.conv2(costs[1].flatten(0, 1)[:, None]).sigmoid()
    return module.fusion_corr(torch.cat([general, special], 1)).sigmoid() + general


def _windows(x: Tensor, side: int) -> Tensor:
    n, h, w, c = x.shape
    x = x.reshape(n, h // side, side, w // side, side, c).transpose(2, 3)
    return x.reshape(-1, side * side, c)


def _swin_block(block: Any, x: Tensor, guidance: Tensor) -> Tensor:
    """A block on tokens (N, S, C) with guidance (N, S, C), one copy for each class."""
    n, places, c = x.shape
    side, window, shift = round(places**0.5), block.window, block.shift
    grid = torch.cat([block.norm1(x), guidance], -1).unflatten(1, (side, side))
    if shift:
        grid = grid.roll((-shift, -shift), (1, 2))
    cells = _windows(grid, window)
    attention = block.attn
    q, k, v = attention.q(cells), attention.k(cells), attention.v(cells[..., :c])
    mask = None
    if block.attn_mask is not None:
        mask = block.attn_mask.repeat(n, 1, 1)[:, None]
    q, k, v = (_heads(part, block.heads) for part in (q, k, v))
    mixed, _ = _softmax_attention(q, k, v, mask)
    mixed = attention.proj(mixed).reshape(n, side // window, side // window, window, window, c).transpose(2, 3)
    mixed = mixed.reshape(n, side, side, c)
    if shift:
        mixed = mixed.roll((shift, shift), (1, 2))
    x = x + mixed.flatten(1, 2)
    return x + block.mlp.fc2(functional.gelu(block.mlp.fc1(block.norm2(x))))


def _class_attention(module: Any, x: Tensor, guidance: Tensor) -> Tensor:
    """What classes (B, T, C, h, w) say of each other, with text guidance (B, T, C); padded tokens are computed too."""
    b, t, c, height, width = x.shape
    pooling = module.pooling if module.training else 1
    x = functional.avg_pool2d(x.flatten(0, 1), pooling).unflatten(0, (b, t))
    h, w = x.shape[-2:]
    if t < module.length:
        pad = module.padding_tokens[..., None, None].expand(b, module.length - t, c, h, w)
        x = torch.cat([x, pad], 1)
        guidance = torch.cat([guidance, module.padding_guidance.expand(b, module.length - t, c)], 1)
    padded = x.shape[1]
    tokens = x.permute(0, 3, 4, 1, 2).reshape(-1, padded, c)
    guidance = guidance.repeat_interleave(h * w, 0)
    attention, y = module.attention, module.norm1(tokens)
    both = torch.cat([y, guidance], -1)
    parts = (attention.q(both), attention.k(both), attention.v(y))
    q, k, v = (part.unflatten(2, (module.heads, -1)) for part in parts)
    q, k, v = functional.elu(q) + 1, functional.elu(k) + 1, v / padded
    sums = torch.einsum("nshd,nshe->nhde", k, v)
    scale = 1 / (torch.einsum("nlhd,nhd->nlh", q, k.sum(1)) + 1e-6)
    mixed = torch.einsum("nlhd,nhde,nlh->nlhe", q, sums, scale) * padded
    tokens = tokens + mixed.flatten(2)
    tokens = tokens + module.MLP(module.norm2(tokens))
    x = tokens.reshape(b, h, w, padded, c).permute(0, 3, 4, 1, 2).flatten(0, 1)
    x = functional.interpolate(x, (height, width), mode="bilinear", align_corners=True)
    return x.unflatten(0, (b, padded))[:, :t]


def aggregator(module: Any, x: Tensor, clip: Tensor, text: Tensor) -> Tensor:
    """``Aggregator`` on (B, T, C, h, w)."""
    b, t, c, h, w = x.shape
    image = module.guidance_projection(clip).flatten(2).transpose(1, 2).repeat_interleave(t, 0)
    text = text / text.norm(dim=-1, keepdim=True)
    text = module.text_guidance_projection(text.expand(b, -1, -1))
    for layer in module.layers:
        tokens = x.flatten(0, 1).flatten(2).transpose(1, 2)
        guidance = layer.swin_block.guidance_norm(image)
        for block in (layer.swin_block.block_1, layer.swin_block.block_2):
            tokens = _swin_block(block, tokens, guidance)
        x = tokens.transpose(1, 2).reshape(b, t, c, h, w)
        x = x + _class_attention(layer.attention, x, text)
    return x


def decoder(module: Any, x: Tensor, clip: list[Tensor], dino: list[Tensor]) -> Tensor:
    """``ResidualDecoder`` on (B, T, C, h, w): guidance maps are copied for every class."""
    b, t = x.shape[:2]
    x = x.flatten(0, 1)
    projections = (module.CLIP_decoder_guidance_projection, module.DINO_decoder_guidance_projection)
    for i, stage in enumerate((module.Fusiondecoder1, module.Fusiondecoder2)):
        maps = [own[i](given[i]).repeat_interleave(t, 0) for own, given in zip(projections, (clip, dino), strict=True)]
        x = stage.conv.double_conv(torch.cat([stage.up(x), *maps], 1))
    return module.head(x).reshape(b, t, *x.shape[2:])


def classes(model: Any, streams: Any, text: Tensor) -> Tensor:
    """Fusion, aggregator and decoder: what ``GSNet.decode`` gives."""
    x = fusion(model.fusion, streams.clip, streams.dino, text).unflatten(0, (streams.clip.shape[0], len(text)))
    x = aggregator(model.aggregator, x, streams.clip, text)
    return decoder(model.decoder, x, streams.clip_guidance, streams.dino_guidance)


def view(model: Any, images: Tensor, text: Tensor) -> Tensor:
    """Logits of views of the model's resolution (B, 3, S, S)."""
    dense, taps = clip_image(model.clip, images)
    special, maps = model.encoder.dino(dino_maps(model.dino, images))
    streams = type(
        "Maps", (), dict(clip=dense, dino=special, clip_guidance=model.encoder.clip(taps), dino_guidance=maps)
    )
    return classes(model, streams, text)


def five_views(model: Any, image: Tensor, text: Tensor, size: int = 640, overlap: float = 0.333) -> Tensor:
    """Probabilities (T, size, size) of an image (1, 3, H, W): unfolded windows and the whole in one batch."""
    crop = model.clip.resolution
    stride = int(crop * (1 - overlap))
    canvas = functional.interpolate(image, (size, size), mode="bilinear", align_corners=False)
    windows = functional.unfold(canvas, crop, stride=stride)[0].T.reshape(-1, 3, crop, crop)
    whole = functional.interpolate(image, (crop, crop), mode="bilinear", align_corners=False)
    logits = view(model, torch.cat([windows, whole]), text)
    scores = functional.interpolate(logits, (crop, crop), mode="bilinear", align_corners=False).sigmoid()
    columns = scores[:-1].flatten(1).T[None]
    total = functional.fold(columns, (size, size), crop, stride=stride)
    count = functional.fold(torch.ones_like(columns), (size, size), crop, stride=stride)
    whole = functional.interpolate(scores[-1:], (size, size), mode="bilinear", align_corners=False)
    return ((total / count + whole) / 2)[0]
