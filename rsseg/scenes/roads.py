"""Roads with their markings, traffic and car parks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import Canvas, Pose
from .kinds import KINDS
from .shapes import Array, bar, box

LANE = 3.4
"""Lane width, metres."""

MIX = (("car", 0.8), ("van", 0.1), ("cargo-truck", 0.07), ("bus", 0.03))
"""Share of each kind of vehicle in road traffic."""


@dataclass
class Road:
    """A road's centre line, (N, 2) world metres, and its width in metres; ``tracks`` have no markings."""

    line: Array
    width: float
    material: str = "asphalt"

    @property
    def steps(self) -> tuple[Array, Array]:
        """Length run at every vertex (N,), and unit directions of the segments (N - 1, 2)."""
        delta = np.diff(self.line, axis=0)
        lengths = np.maximum(np.hypot(delta[:, 0], delta[:, 1]), 1e-9)
        return np.concatenate([[0.0], np.cumsum(lengths)]), delta / lengths[:, None]

    def at(self, run: float) -> tuple[Array, float]:
        """Point (2,) and direction (radians) after ``run`` metres."""
        total, direction = self.steps
        i = int(np.clip(np.searchsorted(total, run) - 1, 0, len(direction) - 1))
        return self.line[i] + direction[i] * (run - total[i]), float(np.arctan2(direction[i, 1], direction[i, 0]))

    def pose(self, share: float) -> Pose:
        """Place and direction after a share (0..1) of the road's length."""
        point, angle = self.at(share * float(self.steps[0][-1]))
        return Pose(float(point[0]), float(point[1]), angle)

    def ribbon(self, offset_left: float, offset_right: float) -> Array:
        """Polygon between two offsets from the centre line (metres, right positive)."""
        _, d = self.steps
        normal = np.stack([-d[:, 1], d[:, 0]], 1)
        mean = np.concatenate([normal[:1], normal[:-1] + normal[1:], normal[-1:]])
        mean /= np.maximum(np.hypot(mean[:, 0], mean[:, 1]), 1e-9)[:, None]
        return np.concatenate([self.line + mean * offset_left, (self.line + mean * offset_right)[::-1]])


def straight(pose: Pose, u0: float, v0: float, u1: float, v1: float, width: float, material: str = "asphalt") -> Road:
    """A straight road between two points of a local frame."""
    t = np.linspace(0, 1, 12)[:, None]
    return Road(pose(np.array([[u0, v0]]) * (1 - t) + np.array([[u1, v1]]) * t), width, material)


def curved(pose: Pose, line: Array, width: float, material: str = "asphalt") -> Road:
    """A road along a local line, (N, 2) metres."""
    return Road(pose(line), width, material)


def pave(canvas: Canvas, roads: list[Road], verge: float = 1.8) -> None:
    """Draw a network: all pavements first, then all carriageways, then markings away from junctions."""
    for road in roads:
        if verge and road.material == "asphalt":
            canvas.ground(road.ribbon(-road.width / 2 - verge, road.width / 2 + verge), "concrete")
    for road in roads:
        canvas.ground(road.ribbon(-road.width / 2, road.width / 2), road.material)
        tyre = tuple(int(c * 0.86) for c in canvas.palette[road.material])
        for lane in (-0.25, 0.25):
            middle = lane * road.width
            canvas.wash(road.ribbon(middle - 0.7, middle + 0.7), (tyre[0], tyre[1], tyre[2]), 0.5, 0.5)
    for i, road in enumerate(roads):
        if road.material == "asphalt" and road.width >= 6:
            _mark(canvas, road, [other for j, other in enumerate(roads) if j != i])


def _mark(canvas: Canvas, road: Road, others: list[Road]) -> None:
    """Dashed centre line (double solid on wide roads), lane and edge lines, zebra crossings now and then."""
    rng = canvas.rng
    total = float(road.steps[0][-1])
    yellow = (206, 170, 76) if rng.random() < 0.4 else (226, 226, 220)
    lanes = max(int(road.width // LANE), 2)
    wide = max(0.16, canvas.gsd * 0.45)
    for run in np.arange(0.0, total - 2, 2.0):
        point, angle = road.at(float(run))
        if not (-9 < point[0] < canvas.width + 9 and -9 < point[1] < canvas.depth + 9):
            continue
        if any(_near(point, other, other.width / 2 + 3) for other in others):
            continue
        pose = Pose(float(point[0]), float(point[1]), angle)
        dash = run % 8 < 4
        if lanes > 2 or dash:
            canvas.fill(pose(bar(0, 0, 2.05, 0, wide)), yellow)
        for k in range(1, lanes):
            if k * 2 != lanes and dash:
                y = (k / lanes - 0.5) * road.width
                canvas.fill(pose(bar(0, y, 2.05, y, wide)), (222, 222, 218))
        if road.width > 7.5:
            for y in (-road.width / 2 + 0.35, road.width / 2 - 0.35):
                canvas.fill(pose(bar(0, y, 2.05, y, wide)), (216, 216, 212))


def _near(point: Array, road: Road, distance: float) -> bool:
    """Whether a point (2,) lies within a distance of a road's centre line (metres)."""
    a, b = road.line[:-1], road.line[1:]
    ab = b - a
    t = np.clip(((point - a) * ab).sum(1) / np.maximum((ab * ab).sum(1), 1e-9), 0, 1)
    return bool((np.hypot(*(a + ab * t[:, None] - point).T) < distance).any())


def vehicle(
    canvas: Canvas, pose: Pose, mix: tuple[tuple[str, float], ...] = MIX, on: tuple[int, ...] | None = None
) -> None:
    """Put one vehicle of a mix at a pose if there is room."""
    names, shares = zip(*mix, strict=True)
    kind = str(canvas.rng.choice(names, p=np.array(shares) / sum(shares)))
    canvas.put(kind, KINDS[kind].draw(canvas.rng), pose, on=on, margin=0.3)


def traffic(canvas: Canvas, road: Road, spacing: float, mix: tuple[tuple[str, float], ...] = MIX) -> None:
    """Vehicles in both directions, on average one per ``spacing`` metres and lane; right-hand traffic."""
    rng = canvas.rng
    total = float(road.steps[0][-1])
    lanes = max(int(road.width // LANE) // 2, 1)
    for side in (-1, 1):
        for lane in range(lanes):
            run = float(rng.uniform(0, spacing))
            offset = side * (lane + 0.5) * road.width / 2 / lanes
            while run < total:
                point, angle = road.at(run)
                pose = Pose(float(point[0]), float(point[1]), angle).at(0, offset, 0 if side > 0 else np.pi)
                vehicle(canvas, pose, mix)
                run += 8 + float(rng.exponential(spacing))


def parking(canvas: Canvas, pose: Pose, length: float, width: float, full: float = 0.7, trees: float = 0.3) -> None:
    """A car park centred on a pose: asphalt, rows of marked bays, cars in a ``full`` share of them."""
    rng = canvas.rng
    canvas.ground(pose(box(0, 0, length, width)), "lot")
    bay, deep, aisle = 2.7, 5.2, 6.5
    y, row = -width / 2 + deep / 2, 0
    while y + deep / 2 <= width / 2 + 0.1:
        for x in np.arange(-length / 2 + bay / 2 + 1.5, length / 2 - bay / 2 - 1.5, bay):
            canvas.fill(
                pose(bar(float(x) - bay / 2, y - deep / 2, float(x) - bay / 2, y + deep / 2, 0.2)), (212, 212, 206)
            )
            spot = pose.at(float(x), y + float(rng.normal(0, 0.2)), np.pi / 2 * float(rng.choice([-1, 1])))
            if rng.random() < trees * 0.1:
                canvas.trees.append((spot.x, spot.y, float(rng.uniform(1.5, 2.6)), int(rng.integers(2, 7))))
            elif rng.random() < full:
                spot = spot.at(0, 0, float(rng.normal(0, 0.03)))
                vehicle(canvas, spot, (("car", 0.93), ("van", 0.07)))
        row += 1
        y += deep + (aisle if row % 2 else 0.2)
