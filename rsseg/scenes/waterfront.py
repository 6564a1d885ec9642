"""Layouts at the water: port, marina, open sea, river."""

from __future__ import annotations

import numpy as np

from .buildings import block, house, shed
from .canvas import Canvas, Pose
from .facilities import container_crane, pier
from .ground import FAR, blob, coast, finish_water, half_plane, river, scatter_trees, tree_row, wildland, woods
from .kinds import KINDS
from .materials import DEVELOPED, WATER
from .roads import parking, pave, straight, traffic, vehicle
from .shapes import Array, box, pick
from .towns import OPEN, TRUCKS, tank_farm
from .vessels import CONTAINERS

SHIPS = ("dry-cargo-ship", "liquid-cargo-ship", "warship", "fishing-boat")
SEA = (WATER,)


def wake(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    """Foam behind and beside a moving ship: a soft fan and a bright trail."""
    rng = canvas.rng
    trail = float(rng.uniform(1.2, 3.0)) * length
    fan = np.array([[length / 2, 0], [-length / 2 - trail, -width * 1.5], [-length / 2 - trail, width * 1.5]])
    canvas.wash(pose(fan), (150, 172, 178), 0.22, width * 0.3, WATER)
    core = np.array([[-length * 0.3, -width * 0.4], [-length * 0.3, width * 0.4], [-length / 2 - trail, width * 0.15]])
    canvas.wash(pose(core), (226, 234, 234), 0.75, max(width * 0.12, 0.4), WATER)
    bow = np.array([[length * 0.55, 0], [0.1 * length, width * 0.75], [0.1 * length, -width * 0.75]])
    canvas.wash(pose(bow), (220, 230, 230), 0.5, max(width * 0.1, 0.4), WATER)


def sail(canvas: Canvas, kind: str, pose: Pose, moving: float = 0.5, margin: float = 4.0) -> bool:
    """Put a ship on open water, with its wake if it moves."""
    shape = KINDS[kind].draw(canvas.rng)
    room = pose(box(0, 0, shape.length + 2 * margin, shape.width + 2 * margin))
    if not canvas.free(room, SEA):
        return False
    if canvas.rng.random() < moving:
        wake(canvas, pose, shape.length, shape.width)
    return canvas.put(kind, shape, pose, on=SEA, margin=0)


def fleet(canvas: Canvas, tries: int, kinds: tuple[str, ...], moving: float = 0.5) -> None:
    """Ships anywhere on the water, heading anywhere."""
    rng = canvas.rng
    for _ in range(tries):
        spot = Pose(*canvas.anywhere(), float(rng.uniform(0, 2 * np.pi)))
        sail(canvas, str(rng.choice(kinds)), spot, moving)


def _quay(canvas: Canvas, pose: Pose, edge: float) -> None:
    """Concrete land up to ``v = edge``, water beyond, a kerb between."""
    far = FAR * canvas.reach
    canvas.flood(None, "concrete")
    line: Array = np.array([[-far, edge], [far, edge]])
    canvas.ground(pose(half_plane(line, far)), "water")
    canvas.ground(pose(box(0, edge - 0.8, 2 * far, 1.6)), "paving", (196, 192, 182), 1.2)


def port(canvas: Canvas) -> None:
    """A container quay: berthed ships, cranes, stacked boxes, sheds, tanks, lorries."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    edge = float(rng.uniform(-0.05, 0.3)) * reach
    _quay(canvas, pose, edge)
    jetty = float(rng.uniform(-0.6, 0.6)) * reach
    finish_water(canvas)
    if rng.random() < 0.6:
        spot = pose.at(jetty, edge + 1.6 + 0.4 * reach, np.pi / 2)
        canvas.put("harbor", pier(rng, 0.8 * reach, 0), spot, on=SEA, margin=0)
    roads = [straight(pose, -1.3 * reach, edge - d, 1.3 * reach, edge - d, 8.5) for d in (44.0, 122.0)]
    pave(canvas, roads, 0)
    u = -reach
    while u < reach:
        kind = str(rng.choice(SHIPS[:3]))
        ship = KINDS[kind].draw(rng)
        turn = float(rng.choice([0, np.pi]))
        berth = pose.at(u + ship.length / 2, edge + ship.width / 2 + 2.5, turn)
        if rng.random() < 0.9:
            canvas.put(kind, ship, berth, on=SEA, margin=0.5)
        u += ship.length + float(rng.uniform(6, 40))
    for u in np.arange(-reach, reach, float(rng.uniform(50, 90))):
        if rng.random() < 0.6:
            canvas.put("container-crane", container_crane(rng), pose.at(float(u), edge - 14, np.pi / 2), force=True)
    _stacks(canvas, pose, edge - 88)
    for u in np.arange(-reach + 50, reach, 118.0):
        if rng.random() < 0.6:
            canvas.put("shed", shed(rng, 95, float(rng.uniform(30, 45))), pose.at(float(u), edge - 155), margin=3)
        else:
            tank_farm(canvas, pose.at(float(u), edge - 160), 100, 62)
    for _ in range(20):
        spot = pose.at(
            float(rng.uniform(-reach, reach)), edge - float(rng.uniform(5, 38)), float(rng.choice([0, np.pi]))
        )
        vehicle(canvas, spot, TRUCKS, on=(DEVELOPED,))
    for road in roads:
        traffic(canvas, road, 35, (("car", 0.3), ("van", 0.1), ("cargo-truck", 0.6)))
    fleet(canvas, 14, ("motorboat", "fishing-boat", "motorboat", *SHIPS))


def _stacks(canvas: Canvas, pose: Pose, middle: float) -> None:
    """Rows of containers; scenery, not objects."""
    rng = canvas.rng
    for u in np.arange(-canvas.reach, canvas.reach, 66.0):
        if rng.random() < 0.15:
            parking(canvas, pose.at(float(u) + 30, middle), 54, 58, 0.6, 0)
            continue
        for v in np.arange(-30.0, 30.0, 10.0):
            for x in np.arange(0.0, 54.0, 6.4):
                high, lane = int(rng.integers(0, 5)), 0
                for y in (-2.6, 0.0, 2.6):
                    lane = max(high + int(rng.integers(-1, 2)), 0)
                    if lane:
                        spot = pose(box(float(u) + x + 6, middle + float(v) + y, 6.0, 2.4))
                        canvas.fill(spot, pick(rng, CONTAINERS, 12), 2.5 * lane)


def marina(canvas: Canvas) -> None:
    """Jetties full of small boats, a promenade with cafes, a coast road."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    wildland(canvas, "lawn", ("paving", "meadow"))
    edge = float(rng.uniform(-0.45, -0.05)) * reach
    far = FAR * reach
    canvas.ground(pose(half_plane(np.array([[-far, edge], [far, edge]]), far)), "water")
    canvas.ground(pose(box(0, edge - 5, 2 * far, 10)), "paving", None, 1.0)
    finish_water(canvas)
    road = straight(pose, -1.3 * reach, edge - 24, 1.3 * reach, edge - 24, 8.5)
    pave(canvas, [road])
    length, pitch = float(rng.uniform(0.5, 1.0)) * reach, float(rng.uniform(42, 60))
    for u in np.arange(-reach + float(rng.uniform(0, pitch)), reach, pitch):
        fingers = float(rng.choice([9.0, 10.5, 12.0]))
        jetty = pose.at(float(u), edge + 0.6 + length / 2, np.pi / 2)
        if canvas.put("harbor", pier(rng, length, fingers), jetty, on=SEA, margin=0):
            _moor(canvas, jetty, length, fingers)
    for u in np.arange(-reach, reach, 45.0):
        if rng.random() < 0.5:
            parking(canvas, pose.at(float(u) + 22, edge - 46), 42, 30, float(rng.uniform(0.4, 0.95)))
        else:
            canvas.put("block", block(rng, 30, 16), pose.at(float(u) + 22, edge - 44), margin=2)
    tree_row(canvas, pose([[-reach, edge - 13]])[0], pose([[reach, edge - 13]])[0], 9, (1.6, 3.0))
    for u in np.arange(-reach, reach, 30.0):
        if rng.random() < 0.7:
            canvas.put("house", house(rng), pose.at(float(u), edge - 75, float(rng.choice([0, np.pi / 2]))), margin=3)
    traffic(canvas, road, 25)
    fleet(canvas, 12, ("motorboat", "motorboat", "fishing-boat"), 0.7)
    scatter_trees(canvas, int(canvas.width * canvas.depth / 2000))


def _moor(canvas: Canvas, jetty: Pose, length: float, fingers: float) -> None:
    """Boats between the fingers of a jetty, bows out or in."""
    rng = canvas.rng
    for x in np.arange(-length / 2 + fingers / 2, length / 2, fingers / 2):
        for side in (-1, 1):
            if rng.random() < 0.85:
                boats = [KINDS["motorboat"].draw(rng) for _ in range(4)]
                boat = min(boats, key=lambda b: abs(b.width - (fingers / 2 - 1.7)))
                turn = np.pi / 2 * side + float(rng.choice([0, np.pi], p=[0.8, 0.2])) + float(rng.normal(0, 0.03))
                spot = jetty.at(float(x) + fingers / 4, side * (2.2 + boat.length / 2), turn)
                canvas.put("motorboat", boat, spot, margin=0.15)


def sea(canvas: Canvas) -> None:
    """Open water with ships of every size; a beach or an island."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    wildland(canvas, "scrub", ("sand", "lawn"))
    coast(
        canvas,
        pose.at(0, -float(rng.uniform(0.35, 0.85)) * reach),
        float(rng.uniform(5, 25)),
        float(rng.uniform(6, 25)),
    )
    if rng.random() < 0.45:
        island = pose.at(float(rng.uniform(-0.4, 0.4)) * reach, float(rng.uniform(0.0, 0.5)) * reach)
        shore = blob(rng, 0, 0, float(rng.uniform(22, 40)))
        canvas.ground(island(shore), "sand")
        canvas.ground(island(shore * 0.76), "scrub")
        woods(canvas, island(shore * 0.5), 5.0, None)
    finish_water(canvas)
    for _ in range(int(rng.integers(3, 9))):
        spot = pose.at(
            float(rng.uniform(-1, 1)) * reach, -float(rng.uniform(0.5, 1.1)) * reach, float(rng.uniform(0, 3))
        )
        canvas.put("house", house(rng), spot, on=OPEN, margin=3)
    fleet(canvas, 12, SHIPS, 0.6)
    fleet(canvas, 22, ("motorboat", "motorboat", "fishing-boat"), 0.8)
    scatter_trees(canvas, int(canvas.width * canvas.depth / 1500))


def riverside(canvas: Canvas) -> None:
    """A river through town and wood, with a bridge and boats."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    wildland(canvas, "lawn", ("meadow", "scrub", "soil"))
    width = float(rng.uniform(45, 85))
    river(canvas, pose, width, float(rng.uniform(3, 12)))
    finish_water(canvas)
    at = float(rng.uniform(-0.4, 0.4)) * reach
    bank = width / 2 + 34
    roads = [straight(pose, at, -1.3 * reach, at, 1.3 * reach, 9.0)]
    roads += [straight(pose, -1.3 * reach, v, 1.3 * reach, v, 7.0) for v in (-bank - 12, bank + 12)]
    pave(canvas, roads)
    span = KINDS["bridge"].draw(rng, width + 44, 12.5)
    canvas.ground(pose(box(at, 0, 12.5, width + 44)), "asphalt")
    canvas.put("bridge", span, pose.at(at, 0, np.pi / 2), force=True)
    for side in (-1, 1):
        for u in np.arange(-reach, reach, float(rng.uniform(20, 28))):
            place = pose.at(float(u), side * (bank + 30), float(rng.choice([0, np.pi / 2])))
            if rng.random() < 0.8:
                canvas.put("house", house(rng), place, on=OPEN, margin=2)
            if rng.random() < 0.3:
                pool = KINDS["swimming-pool"].draw(rng)
                canvas.put("swimming-pool", pool, place.at(0, 16), on=OPEN, margin=2)
        outline = pose(box(float(rng.uniform(-1, 1)) * reach, side * (bank - 10), 0.9 * reach, 24))
        woods(canvas, outline, float(rng.uniform(4.5, 6.5)), None)
    for road in roads[1:]:
        traffic(canvas, road, 40)
    _bridge_traffic(canvas, pose.at(at, 0, np.pi / 2), width)
    for _ in range(12):
        kind = str(rng.choice(["motorboat", "motorboat", "fishing-boat", "liquid-cargo-ship"]))
        spot = pose.at(
            float(rng.uniform(-1, 1)) * reach, float(rng.uniform(-0.3, 0.3)) * width, float(rng.choice([0, np.pi]))
        )
        sail(canvas, kind, spot, 0.7, 2.0)
    scatter_trees(canvas, int(canvas.width * canvas.depth / 1200))


def _bridge_traffic(canvas: Canvas, pose: Pose, width: float) -> None:
    """A few vehicles on the deck, on top of the bridge."""
    rng = canvas.rng
    for side in (-1, 1):
        run = -width / 2
        while run < width / 2:
            shape = KINDS["car"].draw(rng)
            lifted = [(p.points, p.colour, 3.5 + float(p.z)) for p in shape.parts if isinstance(p.z, float)]
            shape.parts.clear()
            for points, colour, z in lifted:
                shape.add(points, colour, z)
            canvas.put("car", shape, pose.at(run, side * 2.4, 0 if side > 0 else np.pi), force=True)
            run += 9 + float(rng.exponential(25))
