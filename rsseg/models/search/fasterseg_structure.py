"""FasterSeg's architecture as data: what a JSON file holds, which cells its branches share, and their channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.errors import DataError
from rsseg.io.checkpoints import load_file
from rsseg.io.tables import read_json
from rsseg.models.search.fasterseg_derivation import Branch, derive_branches
from rsseg.models.search.fasterseg_latency import LatencyTable, stem_latency
from rsseg.models.search.fasterseg_operators import OPERATORS

__all__ = [
    "CellPlan",
    "Structure",
    "architecture_of",
    "network_latency",
    "read_release",
    "read_structure",
    "structure_of",
]
_MULTIPLIERS = (4 / 12, 6 / 12, 8 / 12, 10 / 12, 1.0)


@dataclass(frozen=True)
class CellPlan:
    """A cell of the network.

    Attributes:
        layer: Its place in its branches, from 0.
        branches: Those that share it.
        op: Its operator.
        scale: Of its input.
        before: Channels of its input.
        after: Channels of its output.
        stride: 2 where it goes down.
    """

    layer: int
    branches: tuple[int, ...]
    op: int
    scale: int
    before: int
    after: int
    stride: int

    @property
    def names(self) -> list[str]:
        """``layer-branch`` of each branch."""
        return [f"{self.layer}-{branch}" for branch in self.branches]


@dataclass(frozen=True)
class Structure:
    """A network of one or two branches.

    Attributes:
        branches: The branches; that to 1/32 first.
        base: Channels of the first scale are 8 times this at full width.
        stem_width: Share of the channels of the stem.
        head_width: Share of the channels of the decoder.
    """

    branches: tuple[Branch, ...]
    base: int = 12
    stem_width: float = 8 / 12
    head_width: float = 8 / 12

    def channels(self, scale: int, width: float) -> int:
        """Channels at a scale and a share; ``scale`` may be that below the coarsest."""
        return round((8 << scale) * self.base * width)

    def head_channels(self, scale: int) -> int:
        """Channels of the decoder at a scale."""
        return self.channels(scale, self.head_width)

    def groups(self) -> Iterator[tuple[int, list[int]]]:
        """Layer and branches of each cell: they share it while scale, operator and width agree so far."""
        branches, together = self.branches, {(i, j) for j in range(len(self.branches)) for i in range(j)}
        for layer in range(max(len(branch.path) for branch in branches)):
            together = {(i, j) for i, j in together if _alike(branches[i], branches[j], layer)}
            groups: list[list[int]] = []
            for own in (i for i, branch in enumerate(branches) if layer < len(branch.path)):
                shared = next((group for group in groups if (group[0], own) in together), None)
                shared.append(own) if shared else groups.append([own])
            yield from ((layer, group) for group in groups)

    def cells(self) -> list[CellPlan]:
        """The cells in the order in which they run."""
        out = []
        for layer, group in self.groups():
            branch = self.branches[group[0]]
            last, scale = layer == len(branch.path) - 1, branch.path[layer]
            down = 0 if last else branch.path[layer + 1] - scale
            before = self.channels(scale, branch.widths[layer - 1] if layer else self.stem_width)
            after = self.channels(scale + down, self.head_width if last else branch.widths[layer])
            out.append(CellPlan(layer, tuple(group), branch.ops[layer], scale, before, after, 1 + down))
        return out

    def left_channels(self, branch: int) -> dict[int, int]:
        """Channels of a branch's last map at each scale that it leaves."""
        return {c.scale: c.before for c in self.cells() if branch in c.branches and c.stride == 2}


def _alike(one: Branch, other: Branch, layer: int) -> bool:
    inner = layer + 1 < min(len(one.path), len(other.path))
    return (
        inner
        and one.path[layer + 1] == other.path[layer + 1]
        and one.ops[layer] == other.ops[layer]
        and one.widths[layer] == other.widths[layer]
    )


def architecture_of(structure: Structure, **extra: Any) -> dict[str, Any]:
    """What a JSON file holds.

    Args:
        structure: The network.
        **extra: What else the file shall say.
    """
    branches = [
        {"last": b.last, "path": b.path, "ops": b.ops, "widths": [round(w, 6) for w in b.widths]}
        for b in structure.branches
    ]
    widths = {"stem_width": round(structure.stem_width, 6), "head_width": round(structure.head_width, 6)}
    head = {"method": "FasterSeg", "operators": list(OPERATORS), "base": structure.base, **widths}
    return {**head, "branches": branches, **extra}


def structure_of(architecture: Mapping[str, Any], source: str = "the architecture") -> Structure:
    """The network that a JSON file describes, see :func:`architecture_of`.

    Raises:
        DataError: It is not FasterSeg's, is empty or damaged, or has other operators.
    """
    if architecture.get("method") != "FasterSeg" or not architecture.get("branches"):
        raise DataError(f"{source}: is no architecture of FasterSeg; expected method='FasterSeg' and branches")
    if tuple(architecture.get("operators", OPERATORS)) != OPERATORS:
        raise DataError(f"{source}: has operators {architecture['operators']}; expected {list(OPERATORS)}")
    try:
        branches = tuple(
            Branch(int(b["last"]), list(map(int, b["path"])), list(map(int, b["ops"])), list(map(float, b["widths"])))
            for b in architecture["branches"]
        )
        widths = (float(architecture.get(key, 8 / 12)) for key in ("stem_width", "head_width"))
        structure = Structure(branches, int(architecture.get("base", 12)), *widths)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{source}: a branch needs last, path, ops and widths: {error!r}") from error
    for branch in branches:
        _check(branch, source)
    if len({branch.last for branch in branches}) < len(branches) or branches[0].last != max(b.last for b in branches):
        raise DataError(f"{source}: branches must end at different scales, the coarsest first")
    return structure


def _check(branch: Branch, source: str) -> None:
    steps = [after - before for before, after in zip(branch.path, branch.path[1:], strict=False)]
    lengths = len(branch.ops) == len(branch.path) == len(branch.widths) + 1
    if not lengths or branch.path[0] or set(steps) - {0, 1} or branch.path[-1] != branch.last:
        raise DataError(
            f"{source}: the branch to scale {branch.last} must begin at scale 0, keep it or go down by one, and have "
            f"an operator for each cell and a width between each two, got path {branch.path}, {len(branch.ops)} "
            f"operators and {len(branch.widths)} widths"
        )


def read_release(path: Path | str, pair: Sequence[int] = (2, 1), release_defects: bool = True) -> Structure:
    """The network of FasterSeg's ``arch_<index>.pt``, read without running code from it.

    Args:
        path: The file; 0 in its parameters' names is the teacher, 1 the student.
        pair: Ends of the branches; OpenEarthMap's release always takes (2, 1).
        release_defects: See :func:`derive_branches`; published weights need it.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is damaged, or holds no parameters of an architecture.
    """
    content = load_file(path)
    names = [name for name in content if str(name).startswith("alpha_")] if isinstance(content, dict) else []
    if not names:
        raise DataError(f"{path}: holds no architecture of FasterSeg; expected alpha_1_0, beta_1_1, ratio_1_0 ...")
    index = int(str(names[0]).split("_")[1])
    try:
        branches = derive_branches(content, _MULTIPLIERS, index, index == 0, release_defects)
    except (DataError, IndexError, AttributeError, TypeError) as error:
        raise DataError(f"{path}: {error}") from error
    width = 8 / 12 if index else 1.0
    return Structure(tuple(branches[last] for last in pair), 12, width, width)


def read_structure(architecture: Mapping[str, Any] | str | Path) -> Structure:
    """The network of an architecture, or of the file that holds it: JSON, or the release's ``.pt`` as by default there.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: See :func:`structure_of`.
    """
    if isinstance(architecture, Mapping):
        return structure_of(architecture)
    file = Path(architecture)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such architecture; search for one: rsseg search CONFIG")
    return read_release(file) if file.suffix == ".pt" else structure_of(read_json(file), str(file))


def _decoder_layers(structure: Structure, size: tuple[int, int]) -> Iterator[tuple[Any, ...]]:
    """Keys of the table for the decoder's layers, see :mod:`rsseg.models.search.fasterseg_latency`."""
    places = [tuple(side >> (3 + scale) for side in size) for scale in range(3)]
    wide = structure.head_channels
    for i, branch in enumerate(structure.branches):
        left = structure.left_channels(i)
        for scale in range(branch.last, 0, -1):
            yield ("convnorm1", *places[scale], wide(scale), wide(scale - 1), 1)
            yield ("convnorm3", *places[scale - 1], wide(scale - 1) + left[scale - 1], wide(scale - 1), 1)
    joined = wide(0) * len(structure.branches)
    yield ("convnorm1", *places[0], joined, joined, 1)


def network_latency(
    structure: Structure, table: LatencyTable, classes: int, size: Sequence[int] = (1024, 2048)
) -> float:
    """Milliseconds of a derived network: those of its layers by the table, added up.

    Args:
        structure: The network.
        table: Milliseconds of layers.
        classes: Number of classes.
        size: (H, W) of the images.
    """
    height, width = size
    total = stem_latency(table, structure.base, structure.stem_width, (height, width))
    for cell in structure.cells():
        place = (height >> (3 + cell.scale), width >> (3 + cell.scale))
        total += table(OPERATORS[cell.op], *place, cell.before, cell.after, cell.stride)
    total += sum(table(*key) for key in _decoder_layers(structure, (height, width)))
    joined = structure.head_channels(0) * len(structure.branches)
    return total + table("head", height >> 3, width >> 3, joined, classes, 1)
