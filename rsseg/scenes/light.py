"""From maps to a photograph: crowns, texture, sun, cast shadows, haze, optics and sensor."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas
from .materials import BUILDING, MATERIALS, NAMES, ROAD, WATER
from .regions import Look

Field = NDArray[np.float32]


def grow_trees(canvas: Canvas) -> None:
    """Draw all tree crowns in one pass: every sample belongs to its nearest trunk, a crown is a bumpy dome.

    Trees that would stand on an object, a building, a road or in water are left out.
    """
    if not canvas.trees:
        return
    seeds = np.array(canvas.trees)
    at = np.round(canvas.samples(seeds[:, :2])).astype(int)
    inside = ((at >= 0) & (at < canvas.shape[::-1])).all(1)
    seeds, at = seeds[inside], at[inside]
    room = cv2.distanceTransform((canvas.instances == 0).astype(np.uint8), cv2.DIST_L2, 3)
    cover = canvas.cover[at[:, 1], at[:, 0]]
    radius = seeds[:, 2] / canvas.gsd * 2
    kerb = cv2.distanceTransform((canvas.cover != ROAD).astype(np.uint8), cv2.DIST_L2, 3)
    keep = (room[at[:, 1], at[:, 0]] > 0.8 * radius) & (kerb[at[:, 1], at[:, 0]] > 0.6 * radius)
    keep &= ~np.isin(cover, (WATER, BUILDING))
    seeds, at, radius = seeds[keep], at[keep], radius[keep]
    if not len(seeds):
        return
    ground = np.ones(canvas.shape, np.uint8)
    ground[at[:, 1], at[:, 0]] = 0
    distance, label = cv2.distanceTransformWithLabels(ground, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    owner = np.zeros(int(label.max()) + 1, int)
    owner[label[at[:, 1], at[:, 0]]] = np.arange(len(seeds))
    reach = radius.astype(np.float32)[owner][label]
    ragged = distance * (1 + 0.16 * canvas.noise(1.2)) / np.maximum(reach, 1)
    crown = ragged < 1
    dome = np.sqrt(np.maximum(1 - ragged**2, 0)) * (0.55 + 0.1 * canvas.noise(0.9))
    z = (reach * canvas.gsd / 2) * (0.7 + dome)
    tints = _tints(canvas)[seeds[:, 3].astype(int)]
    np.copyto(canvas.height, z.astype(np.float32), where=crown)
    canvas.albedo[crown] = tints[owner[label[crown]]]
    canvas.material[crown] = NAMES["canopy"]
    canvas.cover[crown] = MATERIALS["canopy"].cover
    canvas.instances[crown] = 0


def _tints(canvas: Canvas) -> NDArray[np.uint8]:
    """(8, 3) uint8 crown colours of the scene, from dark conifer to light broadleaf."""
    base = np.asarray(canvas.palette["canopy"], np.float64)
    spread = np.linspace(0.72, 1.25, 8)[:, None] * (1 + canvas.rng.normal(0, 0.05, (8, 3)))
    return np.clip(base * spread, 0, 255).astype(np.uint8)


def texture(canvas: Canvas) -> Field:
    """Albedo with grain, (2H, 2W, 3) float32, 0-255 nominal."""
    grains = np.array([m.grain for m in MATERIALS.values()], np.float32)
    green = np.array([m.green for m in MATERIALS.values()], np.float32)[canvas.material]
    factor = np.ones(canvas.shape, np.float32)
    for column, cell in enumerate((canvas.gsd * 0.8, 2.5, 22.0)):
        factor += grains[:, column][canvas.material] * canvas.noise(cell)
    hue = green * (0.04 * canvas.noise(30.0) + 0.025 * canvas.noise(4.0))
    out = canvas.albedo.astype(np.float32)
    out[..., 0] *= factor + hue
    out[..., 1] *= factor
    out[..., 2] *= factor - 0.5 * hue
    return out


def sunlight(canvas: Canvas, azimuth: float, elevation: float) -> tuple[Field, Field]:
    """Slope shading and cast shadow.

    Args:
        canvas: The finished maps.
        azimuth: Direction towards the sun, radians clockwise from +x.
        elevation: Its height above the horizon, radians.

    Returns:
        Direct light relative to flat ground, and shadow 0..1, each (2H, 2W) float32.
    """
    step = canvas.gsd / 2
    z = canvas.height
    gx = np.clip(cv2.Sobel(z, cv2.CV_32F, 1, 0, scale=1 / (8 * step)), -0.9, 0.9)
    gy = np.clip(cv2.Sobel(z, cv2.CV_32F, 0, 1, scale=1 / (8 * step)), -0.9, 0.9)
    cot = np.float32(1 / np.tan(elevation))
    direct = 1 - (gx * np.float32(np.cos(azimuth)) + gy * np.float32(np.sin(azimuth))) * cot
    direct /= np.sqrt(1 + gx * gx + gy * gy)
    return np.clip(direct, 0, 1.45), _shadow(z, azimuth, float(np.tan(elevation)) * step, step)


def _shadow(z: Field, azimuth: float, fall: float, step: float) -> Field:
    """Shadow 0..1: the highest blocker towards the sun, found by doubling the distance looked at."""
    top = float(z.max())
    best = _towards(z, np.cos(azimuth), np.sin(azimuth)) - np.float32(fall)
    reach = 1
    while reach * fall < top:
        far = _towards(best, np.cos(azimuth) * reach, np.sin(azimuth) * reach)
        np.maximum(best, far - np.float32(reach * fall), out=best)
        reach *= 2
    shadow = np.clip((best - z) * np.float32(1 / (3 * step)), 0, 1)
    return cv2.GaussianBlur(shadow, (0, 0), 1.0)


def _towards(field: Field, dx: float, dy: float) -> Field:
    """The field seen ``(dx, dy)`` samples ahead; zero from outside."""
    shift = np.array([[1, 0, -round(dx)], [0, 1, -round(dy)]], np.float64)
    return cv2.warpAffine(field, shift, field.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)


def photograph(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image that the region's camera takes of the canvas, (H, W, 3) uint8 RGB."""
    look = canvas.look
    elevation = np.radians(rng.uniform(*look.sun))
    direct, shadow = sunlight(canvas, float(rng.uniform(0, 2 * np.pi)), float(elevation))
    warm = float(rng.uniform(-0.04, 0.07))
    sky = np.array([0.27, 0.31, 0.37], np.float32) * np.float32(rng.uniform(0.75, 1.3))
    sun = np.array([1 + warm, 1.0, 1 - warm], np.float32) - sky
    light = texture(canvas)
    lit = direct * (1 - shadow)
    for band in range(3):
        light[..., band] *= sky[band] + sun[band] * lit
    small = _optics(light, float(rng.uniform(*look.blur)))
    haze = float(rng.uniform(*look.haze)) * np.array([168, 178, 190], np.float32)
    small = small * (1 - haze / 255) + haze * 0.5
    if look.response != Look.response:
        small = small @ np.array(look.response, np.float32).T
    cast = np.float32(rng.uniform(*look.exposure)) * (1 + rng.normal(0, 0.025, 3)).astype(np.float32)
    small = 255 * np.power(np.clip(small * cast / 255, 0, 1), np.float32(rng.uniform(*look.gamma)))
    return _sensor(small, rng, look)


def _optics(light: Field, sigma: float) -> Field:
    """Gather samples into pixels: a triangle over the pixel's three samples each way, then the lens' blur (pixels)."""
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    small = cv2.sepFilter2D(light, -1, kernel, kernel)[::2, ::2]
    return cv2.GaussianBlur(np.ascontiguousarray(small), (0, 0), sigma) if sigma > 0.3 else small


def _sensor(small: Field, rng: np.random.Generator, look: Look) -> NDArray[np.uint8]:
    """Shot and read noise, then 8 bits."""
    read, shot = float(rng.uniform(*look.read)), float(rng.uniform(*look.shot))
    noise = rng.standard_normal(small.shape, np.float32) * np.sqrt(read**2 + shot * np.maximum(small, 0))
    return np.clip(small + noise + 0.5, 0, 255).astype(np.uint8)
