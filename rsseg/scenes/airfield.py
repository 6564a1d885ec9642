"""Layout of an airport."""

from __future__ import annotations

import numpy as np

from .buildings import block, shed
from .canvas import Canvas, Pose
from .ground import wildland, woods
from .kinds import KINDS
from .materials import DEVELOPED
from .roads import parking, pave, straight, traffic, vehicle
from .shapes import Colour, bar, box

PAINTED: Colour = (230, 230, 224)
GUIDE: Colour = (214, 178, 62)
JETS = ("regional-jet", "narrow-body", "narrow-body", "wide-body")
SERVICE = (("van", 0.5), ("cargo-truck", 0.25), ("bus", 0.15), ("car", 0.1))


def airport(canvas: Canvas) -> None:
    """Runway, taxiway, apron with parked planes at a terminal, hangars, light aviation and a car park."""
    rng, pose, reach = canvas.rng, canvas.centre, canvas.reach
    wildland(canvas, "meadow", ("lawn", "soil"))
    far = 1.4 * reach
    runway = -float(rng.uniform(0.55, 0.75)) * reach
    taxi = runway + float(rng.uniform(60, 75))
    _runway(canvas, pose.at(0, runway), far)
    _taxiway(canvas, pose.at(0, taxi), far)
    for u in rng.uniform(-0.9, 0.9, 2) * reach:
        _taxiway(canvas, pose.at(float(u), (runway + taxi) / 2, np.pi / 2), (taxi - runway) / 2)
    apron = float(rng.uniform(95, 120))
    stand = taxi + 12 + apron / 2
    _apron(canvas, pose.at(0, stand), 2 * far, apron)
    terminal = taxi + 12 + apron + 14
    canvas.put("block", block(rng, 1.1 * reach, 26), pose.at(-0.3 * reach, terminal), margin=0)
    canvas.put("shed", shed(rng, 70, 50), pose.at(0.55 * reach, terminal + 14), margin=0)
    _stands(canvas, pose, terminal - 14, apron)
    road = straight(pose, -far, terminal + 50, far, terminal + 50, 8.5)
    pave(canvas, [road])
    for u in np.arange(-reach, reach, 86.0):
        parking(canvas, pose.at(float(u) + 42, terminal + 84), 78, 52, float(rng.uniform(0.3, 0.9)))
    traffic(canvas, road, 25)
    landing = str(rng.choice([*JETS, "light-plane"]))
    roll = pose.at(float(rng.uniform(-0.5, 0.5)) * reach, runway, float(rng.choice([0, np.pi])))
    if rng.random() < 0.6:
        canvas.put(landing, KINDS[landing].draw(rng), roll, on=(DEVELOPED,))
    woods(canvas, pose(box(0, -reach - 10, 3 * reach, 0.4 * reach)), 6.0)
    _helipads(canvas, pose, taxi + 30)


def _runway(canvas: Canvas, pose: Pose, far: float) -> None:
    """Asphalt strip with centre line, edges, piano keys, touchdown marks and rubber."""
    rng = canvas.rng
    canvas.ground(pose(box(0, 0, 2 * far, 56)), "concrete", (140, 138, 130))
    canvas.ground(pose(box(0, 0, 2 * far, 45)), "lot")
    for u in np.arange(-far, far, 50.0):
        canvas.fill(pose(box(float(u), 0, 30, 0.9)), PAINTED)
    for v in (-21.5, 21.5):
        canvas.fill(pose(box(0, v, 2 * far, 0.9)), PAINTED)
    key = float(rng.uniform(-0.7, 0.7)) * far / 1.4
    for v in np.arange(-18.0, 19.0, 3.6):
        canvas.fill(pose(box(key, float(v), 30, 1.8)), PAINTED)
    for v in (-9.0, 9.0):
        canvas.fill(pose(box(key + 110, v, 45, 6)), PAINTED)
    for _ in range(14):
        u, v = key + float(rng.uniform(40, 220)), float(rng.normal(0, 4))
        canvas.wash(pose(box(u, v, float(rng.uniform(30, 90)), 0.9)), (44, 44, 46), 0.3, 0.6)


def _taxiway(canvas: Canvas, pose: Pose, far: float) -> None:
    canvas.ground(pose(box(0, 0, 2 * far, 30)), "concrete", (150, 146, 134))
    canvas.ground(pose(box(0, 0, 2 * far + 8, 21)), "lot")
    canvas.fill(pose(box(0, 0, 2 * far, max(0.4, canvas.gsd))), GUIDE)


def _apron(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    """Concrete slabs with joints and stains."""
    rng = canvas.rng
    canvas.ground(pose(box(0, 0, length, width)), "concrete")
    base = np.array(canvas.palette["concrete"])
    for u in np.arange(-length / 2, length / 2, 7.5):
        for v in np.arange(-width / 2, width / 2 - 3, 7.5):
            if rng.random() < 0.25:
                red, green, blue = np.clip(base * rng.normal(1, 0.035), 0, 250).astype(int).tolist()
                canvas.fill(pose(box(float(u) + 3.75, float(v) + 3.75, 7.5, 7.5)), (red, green, blue))
    joint = (int(base[0] * 0.88), int(base[1] * 0.88), int(base[2] * 0.88))
    for u in np.arange(-length / 2, length / 2, 7.5):
        canvas.fill(pose(bar(float(u), -width / 2, float(u), width / 2, 0.2)), joint)
    for v in np.arange(-width / 2, width / 2, 7.5):
        canvas.fill(pose(bar(-length / 2, float(v), length / 2, float(v), 0.2)), joint)
    for _ in range(30):
        u, v = rng.uniform(-0.5, 0.5, 2) * (length, width)
        canvas.wash(pose(box(float(u), float(v), *rng.uniform(2, 10, 2))), (84, 80, 74), 0.25, 1.5)


def _stands(canvas: Canvas, pose: Pose, front: float, apron: float) -> None:
    """Planes nose-in at the terminal, passenger bridges, service vehicles; light planes at the end."""
    rng, reach = canvas.rng, canvas.reach
    u = -reach
    while u < 0.35 * reach:
        kind = str(rng.choice(JETS))
        plane = KINDS[kind].draw(rng)
        u += plane.width / 2
        canvas.fill(pose(bar(u, front - apron, u, front - 6, max(0.35, canvas.gsd))), GUIDE)
        nose = pose.at(u, front - 7 - plane.length / 2, np.pi / 2 + float(rng.normal(0, 0.01)))
        if rng.random() < 0.8 and canvas.put(kind, plane, nose, margin=1.0, on=(DEVELOPED,)):
            bridge = bar(u - 3.6, front - 10 - 0.1 * plane.length, u - 9, front + 1, 2.8)
            canvas.fill(pose(bridge), (190, 190, 186), 4.5)
            for _ in range(int(rng.integers(2, 6))):
                x = u + float(rng.choice([-1, 1])) * float(rng.uniform(6, 16))
                y = front - float(rng.uniform(8, plane.length))
                vehicle(canvas, pose.at(x, y, float(rng.choice([0, 1, 2])) * np.pi / 2), SERVICE)
        u += plane.width / 2 + float(rng.uniform(5, 14))
    for x in np.arange(u + 6, reach, 17.0):
        for row in (0, 1, 2):
            turn = float(rng.choice([np.pi / 2, -np.pi / 2])) + float(rng.normal(0, 0.1))
            spot = pose.at(float(x), front - 16 - row * 18, turn)
            if rng.random() < 0.7:
                canvas.put("light-plane", KINDS["light-plane"].draw(rng), spot, margin=0.5, on=(DEVELOPED,))


def _helipads(canvas: Canvas, pose: Pose, v: float) -> None:
    """Landing circles at the apron's edge; the helicopters stand next to them."""
    rng = canvas.rng
    for u in rng.uniform(-0.7, 0.7, 3) * canvas.reach:
        if canvas.put("helipad", KINDS["helipad"].draw(rng), pose.at(float(u), v), margin=1.0, on=(DEVELOPED,)):
            side = pose.at(float(u) + 24, v, float(rng.uniform(0, 2 * np.pi)))
            canvas.put("helicopter", KINDS["helicopter"].draw(rng), side, margin=0.5)
