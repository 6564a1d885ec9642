"""Layouts on land: suburb, park, industry, farmland."""

from __future__ import annotations

import numpy as np

from .buildings import block, house, shed
from .canvas import Canvas, Pose
from .facilities import storage_tank, swimming_pool
from .ground import blob, farm_fields, finish_water, scatter_trees, tone, tree_row, wavy, wildland, woods
from .kinds import KINDS
from .materials import AGRICULTURE, BARELAND, DEVELOPED, RANGELAND, WATER
from .roads import Road, curved, parking, pave, straight, traffic, vehicle
from .shapes import box

OPEN = (BARELAND, RANGELAND, DEVELOPED, AGRICULTURE)
"""Land covers that may be built on."""

TRUCKS = (("cargo-truck", 0.75), ("van", 0.15), ("bus", 0.1))


def suburb(canvas: Canvas) -> None:
    """Houses on lots along a slanted street grid, gardens with pools and trees."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    canvas.flood(None, "lawn")
    row, run = float(rng.uniform(58, 70)), float(rng.uniform(110, 180))
    shift = rng.uniform(0.2, 0.8, 2)
    us = np.arange(-reach - shift[0] * run, reach + run, run)
    vs = np.arange(-reach - shift[1] * row, reach + row, row)
    far = 1.2 * reach
    roads = [straight(pose, -far, float(v), far, float(v), 7.0) for v in vs]
    roads += [straight(pose, float(u), -far, float(u), far, float(rng.choice([7.0, 9.0, 13.5]))) for u in us]
    special = rng.random() < 0.5
    pave(canvas, roads)
    middle = pose.at(float(us[np.abs(us).argmin()]), float(vs[np.abs(vs).argmin()]))
    if special:
        canvas.put("roundabout", KINDS["roundabout"].draw(rng, float(rng.uniform(14, 19))), middle)
    for u in us[:-1]:
        for v in vs[:-1]:
            _suburb_block(canvas, pose.at(float(u) + run / 2, float(v) + row / 2), run - 18, row - 11)
    for road in roads:
        traffic(canvas, road, 55)
    scatter_trees(canvas, int(canvas.width * canvas.depth / 900))


def _suburb_block(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    rng = canvas.rng
    if np.hypot(pose.x - canvas.width / 2, pose.y - canvas.depth / 2) > canvas.reach + length / 2:
        return
    choice = rng.random()
    if choice < 0.1:
        woods(canvas, pose(box(0, 0, length, width)), float(rng.uniform(5, 7)), "lawn")
        return
    if choice < 0.2:
        building = block(rng, length * 0.5, width * 0.45)
        parking(canvas, pose.at(0, width * 0.25), length * 0.9, width * 0.45, 0.6)
        canvas.put("block", building, pose.at(0, -width * 0.22))
        return
    if choice < 0.32:
        _playground(canvas, pose, length, width)
        return
    lot = float(rng.uniform(16, 22))
    for side in (-1, 1):
        for x in np.arange(-length / 2 + lot / 2, length / 2 - lot / 3, lot):
            _lot(canvas, pose.at(float(x), 0, 0 if side > 0 else np.pi), lot, width / 2)


def _playground(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    """A block with courts, a school and a lap pool."""
    rng = canvas.rng
    canvas.ground(pose(box(0, 0, length, width)), str(rng.choice(["lawn", "paving"])))
    kinds = [str(kind) for kind in rng.permutation(["tennis-court", "basketball-court"])]
    for kind, u in zip(kinds, (-0.36, 0.36), strict=True):
        _grid_of(canvas, pose.at(u * length, 0, np.pi / 2), kind, (1, 2), (34.0, 19.0))
    canvas.put("block", block(rng, 24, width * 0.5), pose.at(0, width * 0.2), on=OPEN, margin=1)
    pool = swimming_pool(rng, length < 120)
    canvas.put("swimming-pool", pool, pose.at(0, -width * 0.28), on=OPEN, margin=2)


def _lot(canvas: Canvas, pose: Pose, wide: float, deep: float) -> None:
    """One property; +y is the street, the back fence runs along y = 0."""
    rng = canvas.rng
    canvas.ground(pose(box(0, deep / 2, wide - 0.4, deep)), "lawn", tone(canvas, "lawn", 0.09))
    turn = float(rng.choice([0, np.pi / 2], p=[0.75, 0.25]))
    long = float(rng.uniform(0.6, 0.75)) * wide
    home = house(rng, long, float(rng.uniform(8, 10.5)))
    side = float(rng.choice([-1, 1]))
    canvas.ground(pose(box(side * wide * 0.36, deep * 0.83, 3.4, deep * 0.36)), "concrete", tone(canvas, "concrete"))
    canvas.put("house", home, pose.at(-side * wide * 0.06, deep * 0.55, turn + np.pi), on=OPEN)
    if rng.random() < 0.6:
        vehicle(canvas, pose.at(side * wide * 0.36, deep * 0.85, np.pi / 2), (("car", 0.9), ("van", 0.1)))
    if rng.random() < 0.28:
        canvas.put("swimming-pool", swimming_pool(rng), pose.at(-side * wide * 0.15, deep * 0.15), on=OPEN, margin=1.6)
    for _ in range(int(rng.integers(1, 6))):
        spot = pose.at(float(rng.uniform(-0.5, 0.5)) * wide, float(rng.uniform(0, 0.95)) * deep)
        canvas.trees.append((spot.x, spot.y, float(rng.uniform(1.2, 4.2)), int(rng.integers(0, 8))))


def park(canvas: Canvas) -> None:
    """Sports grounds: courts, pitches, pools, a school, paths, a pond, many trees."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    wildland(canvas, "lawn", ("meadow", "scrub"))
    if rng.random() < 0.5:
        lake = blob(rng, *canvas.anywhere(), float(rng.uniform(18, 40)))
        canvas.ground(lake, "water")
        finish_water(canvas)
    side = float(rng.uniform(-0.5, 0.5)) * reach
    road = straight(pose, -1.3 * reach, side, 1.3 * reach, side, 7.5)
    path = [curved(pose.at(0, side, np.pi / 2), wavy(rng, 1.2 * reach, 18), 2.6, "track") for _ in range(2)]
    pave(canvas, path, 0)
    pave(canvas, [road])
    _grid_of(canvas, pose.at(float(rng.uniform(-30, 0)), side + 34), "tennis-court", (3, 2), (34.0, 18.0))
    _grid_of(canvas, pose.at(float(rng.uniform(-5, 40)), side - 34), "basketball-court", (2, 2), (33.0, 20.0))
    parking(canvas, pose.at(float(rng.uniform(80, 95)), side + 24), 50, 28, float(rng.uniform(0.3, 0.9)))
    canvas.put(
        "block", block(rng, float(rng.uniform(38, 60)), float(rng.uniform(18, 28))), pose.at(-64, side - 30), on=OPEN
    )
    for kind, count, margin in (("soccer-field", 2, 3.0), ("baseball-diamond", 2, 2.0), ("swimming-pool", 3, 3.0)):
        for _ in range(count * 6):
            spot = Pose(*canvas.anywhere(), pose.angle + float(rng.choice([0, np.pi / 2])))
            extra = {"large": rng.random() < 0.6} if kind == "swimming-pool" else {}
            if canvas.put(kind, KINDS[kind].draw(rng, **extra), spot, on=OPEN, margin=margin):
                count -= 1
            if not count:
                break
    traffic(canvas, road, 30)
    tree_row(canvas, pose([[-reach, side + 7]])[0], pose([[reach, side + 7]])[0], 9.0, (2.0, 3.6))
    for _ in range(int(rng.integers(2, 6))):
        centre = canvas.anywhere()
        woods(canvas, blob(rng, *centre, float(rng.uniform(10, 30))), float(rng.uniform(4.5, 6.5)), None)
    scatter_trees(canvas, int(canvas.width * canvas.depth / 1100))


def _grid_of(canvas: Canvas, pose: Pose, kind: str, count: tuple[int, int], pitch: tuple[float, float]) -> None:
    """A block of equal courts."""
    rng = canvas.rng
    state = int(rng.integers(2**31))
    nx, ny = (int(rng.integers(max(n - 1, 1), n + 1)) for n in count)
    for i in range(nx):
        for j in range(ny):
            same = KINDS[kind].draw(np.random.default_rng(state))
            spot = pose.at((i - (nx - 1) / 2) * pitch[0], (j - (ny - 1) / 2) * pitch[1])
            canvas.put(kind, same, spot, on=OPEN, margin=1.5)


def industry(canvas: Canvas) -> None:
    """Sheds, yards with lorries, car parks and a tank farm along service roads."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    wildland(canvas, "scrub", ("soil", "gravel", "lawn"))
    pitch_u, pitch_v = float(rng.uniform(110, 140)), float(rng.uniform(80, 100))
    us = np.arange(-reach - float(rng.uniform(0, pitch_u)), reach + pitch_u, pitch_u)
    vs = np.arange(-reach - float(rng.uniform(0, pitch_v)), reach + pitch_v, pitch_v)
    far = 1.3 * reach
    roads = [straight(pose, -far, float(v), far, float(v), 8.5) for v in vs]
    roads += [straight(pose, float(u), -far, float(u), far, 8.5) for u in us]
    pave(canvas, roads)
    cells = [(float(u) + pitch_u / 2, float(v) + pitch_v / 2) for u in us[:-1] for v in vs[:-1]]
    cells.sort(key=lambda c: c[0] ** 2 + c[1] ** 2)
    order = [0, 1, *rng.permutation([0, 0, 1, 2, 0, 1]).tolist()]
    for i, (u, v) in enumerate(cells):
        centre = pose.at(u, v)
        if np.hypot(u, v) < reach + pitch_u / 2:
            plots = (_shed_yard, tank_farm, _office)
            plots[int(order[i % len(order)])](canvas, centre, pitch_u - 16, pitch_v - 16)
    for road in roads:
        traffic(canvas, road, 45, (("car", 0.6), ("van", 0.15), ("cargo-truck", 0.25)))
    scatter_trees(canvas, int(canvas.width * canvas.depth / 2500))


def _shed_yard(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    rng = canvas.rng
    canvas.ground(pose(box(0, 0, length, width)), str(rng.choice(["concrete", "lot", "gravel"])))
    deep = float(rng.uniform(0.4, 0.58)) * width
    hall = shed(rng, length * float(rng.uniform(0.6, 0.92)), deep)
    canvas.put("shed", hall, pose.at(0, -width / 2 + deep / 2 + 3))
    dock = -width / 2 + deep + 3
    for x in np.arange(-length * 0.28, length * 0.3, 4.6):
        if rng.random() < 0.5:
            spot = pose.at(float(x), dock + 9.5, np.pi / 2 + float(rng.normal(0, 0.02)))
            canvas.put("cargo-truck", KINDS["cargo-truck"].draw(rng), spot, margin=0.3)
    parking(canvas, pose.at(0, width / 2 - 9), length * 0.7, 12, float(rng.uniform(0.3, 0.9)))


def tank_farm(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    """Rows of storage tanks on gravel inside low walls, pipes between them."""
    rng = canvas.rng
    canvas.ground(pose(box(0, 0, length, width)), str(rng.choice(["gravel", "soil", "concrete"])))
    radius = float(rng.uniform(5.5, 13))
    pitch = 2 * radius + float(rng.uniform(4, 8))
    nx, ny = int((length - 6) // pitch), int((width - 6) // pitch)
    for j in range(ny):
        y = (j - (ny - 1) / 2) * pitch
        canvas.fill(pose(box(0, y + pitch / 2 - 1, length * 0.94, 0.9)), (188, 184, 174), 0.9)
        for i in range(nx):
            if rng.random() < 0.9:
                tank = storage_tank(rng, radius * float(rng.choice([1.0, 1.0, 0.75])))
                spot = pose.at((i - (nx - 1) / 2) * pitch, y, float(rng.uniform(0, 6)))
                canvas.put("storage-tank", tank, spot, margin=0.0)


def _office(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    rng = canvas.rng
    canvas.ground(pose(box(0, 0, length, width)), "lawn")
    building = block(rng, length * 0.5, width * 0.5)
    parking(canvas, pose.at(length * 0.28, 0, np.pi / 2), width * 0.9, length * 0.36, float(rng.uniform(0.4, 0.95)))
    canvas.put("block", building, pose.at(-length * 0.22, 0))
    vehicle(canvas, pose.at(-length * 0.22, width * 0.4), TRUCKS)


def farmland(canvas: Canvas) -> None:
    """Fields in rows, farmsteads, hedges, a wood, a pond, country roads, now and then wind turbines."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    canvas.flood(None, "meadow")
    farm_fields(canvas, pose, (float(rng.uniform(70, 130)), float(rng.uniform(45, 90))))
    for _ in range(int(rng.integers(1, 4))):
        centre = canvas.anywhere()
        woods(canvas, blob(rng, *centre, float(rng.uniform(15, 50))), float(rng.uniform(4.5, 7)))
    if rng.random() < 0.55:
        canvas.ground(blob(rng, *canvas.anywhere(), float(rng.uniform(10, 26))), "water")
        finish_water(canvas)
    bend = wavy(rng, 1.3 * reach, float(rng.uniform(5, 25)))
    main = curved(pose.at(0, float(rng.uniform(-0.4, 0.4)) * reach, float(rng.choice([0, np.pi / 2]))), bend, 7.0)
    track = curved(
        pose.at(float(rng.uniform(-0.4, 0.4)) * reach, 0, np.pi / 2), wavy(rng, 1.3 * reach, 10), 3.6, "track"
    )
    pave(canvas, [track], 0)
    pave(canvas, [main], 0.8)
    for _ in range(int(rng.integers(1, 4))):
        _farmstead(canvas, main, pose)
    turbines = int(rng.integers(0, 4))
    for _ in range(turbines * 4):
        spot = Pose(*canvas.anywhere(), float(rng.uniform(0, 6)))
        canvas.put("windmill", KINDS["windmill"].draw(rng), spot, on=(*OPEN, WATER), margin=2)
    traffic(canvas, main, 60)
    vehicle(canvas, track.pose(0.5), TRUCKS)
    for side in (-1, 1):
        if rng.random() < 0.6:
            start, end = main.ribbon(side * 7.0, side * 7.0)[[0, len(main.line) - 1]]
            tree_row(canvas, start, end, float(rng.uniform(6, 14)), (1.8, 4.0))
    scatter_trees(canvas, int(canvas.width * canvas.depth / 4000))


def _farmstead(canvas: Canvas, road: Road, pose: Pose) -> None:
    rng = canvas.rng
    yard = road.pose(float(rng.uniform(0.3, 0.7))).at(0, float(rng.choice([-1, 1])) * 38)
    canvas.ground(blob(rng, yard.x, yard.y, 27, 0.35), str(rng.choice(["soil", "gravel", "lawn"])))
    canvas.ground(yard(box(0, 0, 24, 60)), "track", None)
    canvas.put("house", house(rng), yard.at(-20, 6, float(rng.choice([0, np.pi / 2]))), on=OPEN)
    for x, y in ((12, -14), (14, 12), (-14, -16)):
        if rng.random() < 0.8:
            barn = shed(rng, float(rng.uniform(16, 30)), float(rng.uniform(9, 14)))
            canvas.put("shed", barn, yard.at(x, y, float(rng.choice([0, np.pi / 2]))))
    for x in (-6, 0, 5):
        vehicle(
            canvas,
            yard.at(x, float(rng.uniform(-8, 8)), float(rng.uniform(0, 6))),
            (("car", 0.5), ("cargo-truck", 0.5)),
        )
    for _ in range(6):
        spot = yard.at(*rng.normal(0, 22, 2))
        canvas.trees.append((spot.x, spot.y, float(rng.uniform(2, 5)), int(rng.integers(0, 8))))
