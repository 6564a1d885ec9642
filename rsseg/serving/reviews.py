"""What the tool "Review" answers: the objects of converted sets, and what reviewers decide about them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException

from rsseg.datasets.labels import Instance, LabelledTile
from rsseg.datasets.labels.decision_files import read_all_decisions
from rsseg.datasets.labels.decisions import Decision, decision_of, time_text
from rsseg.datasets.labels.index import ORDERS
from rsseg.datasets.labels.selection import SCORES
from rsseg.errors import DataError
from rsseg.reports.labels.cards import FLAGS
from rsseg.reports.markup import colour_code
from rsseg.reports.reviewers import agreement_of
from rsseg.serving.review_bodies import AgreementAnswer, DecisionBody, Item, ItemsAnswer, Other, SummaryAnswer
from rsseg.serving.review_crops import Crops, draw, mask_of_rings
from rsseg.serving.review_sets import SHOWN, FinishedError, ReviewSet
from rsseg.serving.state import State
from rsseg.structures.masks import to_rle

__all__ = ["Reviews"]

_KEPT = 4
"""Sets whose objects are kept in memory."""
_LISTED = 200


class Reviews:
    """The sets under review on a server.

    Args:
        state: The server.
    """

    def __init__(self, state: State) -> None:
        self.state, self.crops = state, Crops()
        self._sets: dict[str, ReviewSet] = {}
        self._lock = threading.Lock()

    def get(self, layer_id: str) -> ReviewSet:
        """A set, read when it is asked for first or was converted again.

        Raises:
            LookupError: There is no such layer.
            DataError: It is no converted set, or cannot be reviewed.
        """
        layer = self.state.layers.get(layer_id)
        if layer.kind != "set":
            raise DataError(f"{layer.name} is no converted set, so there are no labels to review")
        with self._lock:
            known = self._sets.get(layer_id)
            if known is None or not known.is_current:
                self._sets.pop(layer_id, None)
                known = ReviewSet(layer.path, self.state.settings.out)
            self._sets[layer_id] = known
            while len(self._sets) > _KEPT:
                self._sets.pop(next(iter(self._sets)))
            return known

    def read(self, layer_id: str, number: int, seen: str) -> tuple[ReviewSet, LabelledTile, Instance]:
        """An object in the state in which it was seen.

        Raises:
            HTTPException: 409, it is another one now.
        """
        found = self.get(layer_id)
        tile, instance = found.index.read(number)
        if found.index.state[number].decode() != seen:
            raise HTTPException(409, "the set was converted again since; load the page again")
        return found, tile, instance

    def item(self, layer_id: str, name: str, number: int, context: int) -> Item:
        """An object as the page shows it."""
        found = self.get(layer_id)
        tile, instance = found.index.read(number)
        drawing = draw(tile, instance, context)
        known, seen = found.reviewer(name), found.index.state[number].decode()
        decision = known.decisions.get(number)
        score = float(found.index.score[number])
        others = None
        if known.finished or not self.state.settings.blind:
            others = [Other(reviewer=other, verdict=own.decisions[number].verdict)
                      for other, own in found.others(name) if number in own.decisions]  # fmt: skip
        return Item(
            number=number, state=seen, tile=tile.name, source=tile.source, object=str(instance.source_object_id),
            label=found.index.labels.table.classes[instance.label], score=None if score != score else round(score, 4),
            predicted_iou=instance.predicted_iou, stability=instance.stability, mask_to_box=instance.mask_to_box,
            area=instance.area, flags=list(drawing.flags), window=drawing.window, width=drawing.size[1],
            height=drawing.size[0], outline=drawing.outline, boxes=drawing.boxes,
            picture=f"/api/review/{quote(layer_id)}/pictures/{number}?state={seen}&context={context}",
            decision=None if decision is None else _told(decision), others=others,
        )  # fmt: skip

    def items(
        self, layer_id: str, name: str, wanted: tuple[str, str | None, str], page: tuple[int, int], context: int
    ) -> ItemsAnswer:
        """Some objects.

        Args:
            layer_id: The set.
            name: The reviewer.
            wanted: Order, name of a class or None, and which objects by what was decided.
            page: Place in the order to begin at, and how many.
            context: How much of the surroundings.

        Raises:
            DataError: There is no such class.
        """
        found = self.get(layer_id)
        order, label, shown = wanted
        try:
            label_id = None if label is None else found.index.labels.table.index(label)
        except ValueError as error:
            raise DataError(str(error)) from error
        numbers, following, count = found.choose(name, order, label_id, shown, *page)
        items = [self.item(layer_id, name, number, context) for number in numbers]
        return ItemsAnswer(items=items, following=following, shown=count)

    def summary(self, layer_id: str, name: str) -> SummaryAnswer:
        """A set and how far a reviewer is."""
        found = self.get(layer_id)
        index, known = found.index, found.reviewer(name)
        counts = [int((index.label == label).sum()) for label in range(index.labels.table.num_classes)]
        table = index.labels.table
        classes = [{"name": own, "colour": colour_code(colour), "count": count}
                   for own, colour, count in zip(table.classes, table.palette, counts, strict=True)]  # fmt: skip
        kinds = {kind: int((known.codes == code).sum()) for code, kind in enumerate(SHOWN[2:], start=1)}
        return SummaryAnswer(
            set=found.set_id, total=len(index), decided=sum(kinds.values()), counts=kinds, finished=known.finished,
            reopened=known.finished and not known.closed, blind=self.state.settings.blind, reviewer=name,
            reviewers=found.names(), classes=classes, orders=ORDERS,
            score=None if index.score_kind is None else SCORES[index.score_kind], flags=FLAGS,
            takes_boxes=found.takes_boxes, file=known.path.relative_to(self.state.settings.out).as_posix(),
        )  # fmt: skip

    def decide(self, layer_id: str, body: DecisionBody) -> Item:
        """Keep a decision.

        Raises:
            HTTPException: 409, the set was converted again, or the reviewer has finished.
        """
        found, tile, instance = self.read(layer_id, body.number, body.state)
        mask = None
        if body.rings is not None:
            mask = to_rle(mask_of_rings(body.rings, tile.size), tile.size)
        row = {
            "set": found.set_id, "reviewer": body.reviewer, "time": time_text(), "source": tile.source,
            "tile": tile.name, "object": instance.source_object_id, "state": body.state,
            "label": found.index.labels.table.classes[instance.label], "decision": body.decision,
            "class": body.new_class, "box": body.box, "mask": mask, "comment": body.comment or None,
        }  # fmt: skip
        with _not_finished():
            found.decide(body.reviewer, body.number, decision_of(row, "decision", found.index.labels.table.classes))
        return self.item(layer_id, body.reviewer, body.number, 1)

    def undo(self, layer_id: str, name: str, context: int) -> Item | None:
        """Take back a reviewer's last decision; its object, None where there is nothing to undo.

        Raises:
            HTTPException: 409, the reviewer has finished.
        """
        with _not_finished():
            number = self.get(layer_id).undo(name)
        return None if number is None else self.item(layer_id, name, number, context)

    def agreement(self, layer_id: str, name: str) -> AgreementAnswer:
        """How far the reviewers agree.

        Raises:
            HTTPException: 409, this reviewer has not finished, and reviews are blind.
        """
        found = self.get(layer_id)
        if self.state.settings.blind and not found.reviewer(name).finished:
            raise HTTPException(409, "finish your review first; others' decisions are hidden until then")
        decisions = [own for _, own in read_all_decisions(sorted(found.folder.glob("*.jsonl")))]
        told = agreement_of(decisions).as_dict()
        return AgreementAnswer(**{**told, "disagreements": told["disagreements"][:_LISTED]})


@contextmanager
def _not_finished() -> Iterator[None]:
    try:
        yield
    except FinishedError as error:
        raise HTTPException(409, str(error)) from error


def _told(decision: Decision) -> dict[str, Any]:
    own = asdict(decision)
    return {"decision": own["decision"], "verdict": decision.verdict, "class": own["new_class"], "box": own["box"],
            "comment": own["comment"], "drawn": own["mask"] is not None}  # fmt: skip
