"""The tool "Review": its routes, what stands in the files of decisions, and what a conversion makes of them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from rsseg.conversion import convert_labels
from rsseg.datasets.labels.decision_files import read_decisions
from rsseg.datasets.labels.decisions import last_decisions
from rsseg.structures.masks import fill_hbox, mask_intersection, rle_to_crop
from tests.serving.review_world import OBJECTS, review_config, write_set

Serve = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``images``, ``labels`` and the converted ``set``."""
    root = tmp_path_factory.mktemp("world")
    write_set(root)
    return root


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(made / "set", tmp_path / "set")
    return made


class Client:
    """The routes of one set, for one reviewer."""

    def __init__(self, address: str, reviewer: str = "anna") -> None:
        self.http = httpx.Client(base_url=address, timeout=None)
        self.reviewer = reviewer
        layers = self.http.get("/api/layers")
        self.layer = layers.json()[0]["id"] if layers.status_code == 200 else ""
        self.base = f"/api/review/{self.layer}"

    def get(self, path: str = "", **params: Any) -> Any:
        answer = self.http.get(f"{self.base}{path}", params={"reviewer": self.reviewer, **params})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def items(self, **params: Any) -> list[dict[str, Any]]:
        return list(self.get("/items", **{"shown": "all", "order": "file", **params})["items"])

    def decide(self, item: dict[str, Any], decision: str, **more: Any) -> Any:
        body = {"reviewer": self.reviewer, "number": item["number"], "state": item["state"], "decision": decision}
        answer = self.http.post(f"{self.base}/decisions", json={**body, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str) -> Any:
        answer = self.http.post(f"{self.base}{path}", json={"reviewer": self.reviewer})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def client(world: Path, tmp_path: Path, serve: Serve) -> Iterator[Client]:
    """The set, served."""
    found = Client(serve(tmp_path / "set"))
    yield found
    found.http.close()


def test_the_set_and_its_objects(client: Client) -> None:
    summary = client.get()
    assert (summary["total"], summary["decided"], summary["blind"]) == (5, 0, True)
    counts = {row["name"]: row["count"] for row in summary["classes"] if row["count"]}
    assert counts == {"ship": 3, "plane": 1, "harbor": 1}
    items = client.items()
    expected = [(f"{stem}", name) for stem, objects in OBJECTS.items() for name, *_ in objects]
    assert [(item["tile"], item["label"]) for item in items] == expected
    first = items[0]
    assert first["area"] == 40 * 20 and first["window"] == [0, 0, 56, 56] and first["flags"] == ["box"]
    assert (first["width"], first["height"]) == (512, 512) and first["outline"].startswith("M")
    assert [item["number"] for item in client.items(label="ship")] == [0, 2, 4]
    assert [item["area"] for item in client.items(order="small")] == [400, 800, 900, 1400, 4900]
    wide = client.get(f"/items/{first['number']}", context=4)
    assert wide["window"] == [0, 0, 120, 100]


def test_pages_go_on_where_they_end(client: Client) -> None:
    first = client.get("/items", order="large", shown="all", limit=2)
    second = client.get("/items", order="large", shown="all", limit=2, start=first["following"])
    third = client.get("/items", order="large", shown="all", limit=2, start=second["following"])
    assert [item["area"] for page in (first, second, third) for item in page["items"]] == [4900, 1400, 900, 800, 400]
    assert (first["shown"], third["following"]) == (5, None)


def test_pictures_are_small_and_kept(client: Client, tmp_path: Path) -> None:
    item = client.items()[1]
    answer = client.http.get(item["picture"])
    assert answer.headers["content-type"] == "image/webp" and "immutable" in answer.headers["cache-control"]
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert picture.shape == (512, 512, 3)
    x1, y1, _, _ = item["window"]
    scale = 512 / (item["window"][2] - x1)
    inside = picture[int((35 - y1) * scale), int((75 - x1) * scale)].astype(int)
    outside = picture[3, 3].astype(int)
    assert inside.min() > 110 and outside.max() < 100
    other = item["picture"].replace(item["state"], "0" * 16)
    assert client.http.get(other).status_code == 409


def test_decisions_are_kept_undone_and_found_again(client: Client, tmp_path: Path, serve: Serve) -> None:
    items = client.items()
    client.decide(items[0], "accept")
    told = client.decide(items[1], "class", new_class="helicopter", comment="rotor")
    assert told["decision"]["verdict"] == "class: helicopter" and told["decision"]["comment"] == "rotor"
    client.decide(items[0], "reject")
    assert client.post("/undo")["number"] == 0  # accepted again
    summary = client.get()
    assert summary["counts"] == {"accept": 1, "reject": 0, "class": 1, "redraw": 0} and summary["decided"] == 2
    path = tmp_path / "served" / summary["file"]
    assert [own.decision for own in read_decisions(path)] == ["accept", "class", "reject", "undo"]
    again = Client(serve(tmp_path / "set"))  # another server, the same file
    assert again.get()["counts"] == summary["counts"]
    assert [item["number"] for item in again.items(shown="undecided")] == [2, 3, 4]
    assert [item["number"] for item in again.items(shown="class")] == [1]
    assert [again.post("/undo")["number"] for _ in range(2)] == [1, 0]
    assert again.post("/undo") is None
    assert client.get()["decided"] == 0  # the first server reads the file again


def test_a_clock_that_is_set_back(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is undone on the page is undone in the conversion, too, which goes by the times."""
    times = iter(("2026-11-30T07:00:00Z", "2026-11-30T06:00:00Z", "2026-11-30T06:00:01Z"))
    for name in ("reviews", "review_sets"):
        monkeypatch.setattr(f"rsseg.serving.{name}.time_text", lambda: next(times))
    client.decide(client.items()[0], "reject")
    assert client.post("/undo")["number"] == 0
    client.post("/finish")
    found = read_decisions(tmp_path / "served" / client.get()["file"])
    assert [own.decision for own in found] == ["reject", "undo", "finished"]
    assert not last_decisions(found) and {own.time for own in found} == {"2026-11-30T07:00:00Z"}


def test_a_set_that_is_taken_away(client: Client, tmp_path: Path) -> None:
    client.items()
    (tmp_path / "set/instances.json").unlink()
    answer = client.http.get(f"{client.base}/items")
    assert answer.status_code == 400 and "instances.json is missing" in answer.json()["detail"]


def test_a_second_reviewer_sees_nothing_before_the_end(
    client: Client, world: Path, serve: Serve, tmp_path: Path
) -> None:
    ben = Client(str(client.http.base_url), "ben")
    first, second = client.items()[:2]
    client.decide(first, "accept")
    client.decide(second, "reject")
    assert ben.items()[0]["decision"] is None and ben.items()[0]["others"] is None
    ben.decide(first, "reject")
    ben.decide(second, "reject")
    refused = ben.http.get(f"{ben.base}/agreement", params={"reviewer": "ben"})
    assert refused.status_code == 409 and "finish your review first" in refused.json()["detail"]
    assert ben.post("/finish")["finished"]
    assert ben.items()[0]["others"] == [{"reviewer": "anna", "verdict": "accept"}]
    found = ben.get("/agreement")
    assert found["pairs"] == [{"first": "anna", "second": "ben", "items": 2, "equal": 0.5, "kappa": 0.0}]
    assert [row["object"][2] for row in found["disagreements"]] == ["1"]
    path = tmp_path / "served" / ben.get()["file"]
    convert_labels(review_config(world, tmp_path / "set"), review=[path])
    assert not ben.get()["finished"] and ben.items()[0]["others"] is None  # a second round is blind again
    convert_labels(review_config(world, tmp_path / "set"), update=True)
    assert ben.get()["finished"]
    seeing = Client(serve(tmp_path / "set", blind=False), "cleo")
    assert [other["reviewer"] for other in seeing.items()[0]["others"]] == ["anna", "ben"]


def test_nothing_is_decided_after_the_end_unless_it_is_reopened(client: Client, world: Path, tmp_path: Path) -> None:
    """What others decided has been seen then, so that the agreement does not count it; a conversion does."""
    ben = Client(str(client.http.base_url), "ben")
    items = client.items()
    for item in items[:2]:
        client.decide(item, "accept")
        ben.decide(item, "reject")
    assert not ben.get()["reopened"] and ben.post("/finish")["finished"] and client.post("/finish")["finished"]
    before = ben.get("/agreement")
    body = {"reviewer": "ben", "number": 2, "state": items[2]["state"], "decision": "accept"}
    for path, row in (("/decisions", body), ("/undo", {"reviewer": "ben"})):
        refused = ben.http.post(f"{ben.base}{path}", json=row)
        assert refused.status_code == 409 and "ben has finished the review of this set" in refused.json()["detail"]
    summary = ben.post("/reopen")
    assert summary["finished"] and summary["reopened"] and summary["decided"] == 2
    ben.decide(items[0], "accept")
    ben.decide(items[2], "reject")
    assert ben.get("/agreement") == before and ben.items()[0]["others"] == [{"reviewer": "anna", "verdict": "accept"}]
    assert not ben.post("/finish")["reopened"] and ben.post("/reopen")["reopened"] and ben.post("/reopen")["reopened"]
    path = tmp_path / "served" / ben.get()["file"]
    marks = [own.decision for own in read_decisions(path)]
    assert marks == ["reject", "reject", "finished", "reopened", "accept", "reject", "finished", "reopened"]
    convert_labels(review_config(world, tmp_path / "set"), review=[path])
    (first, *_) = after = ben.items()
    assert [item["number"] for item in after] == [0, 1, 2] and first["label"] == "ship", "two of five were rejected"
    ben.decide(first, "reject")  # which begins the second round
    assert read_decisions(path)[-2].decision == "reopened"
    assert read_decisions(path)[-2].state != read_decisions(path)[2].state
    client.decide(first, "reject")
    client.post("/finish")
    assert [pair["items"] for pair in client.get("/agreement")["pairs"]] == [2]


def test_a_conversion_applies_what_was_decided(client: Client, world: Path, tmp_path: Path) -> None:
    items = client.items()
    client.decide(items[0], "reject")
    client.decide(items[1], "box", box=[60, 20, 80, 40])
    client.decide(items[3], "class", new_class="bridge")
    square = [[10, 10], [20, 10], [20, 20], [10, 20]]
    hole = [[12, 12], [14, 12], [14, 14], [12, 14]]
    client.decide(items[4], "mask", rings=[square, hole], new_class="plane")
    path = tmp_path / "served" / client.get()["file"]
    convert_labels(review_config(world, tmp_path / "set"), review=[path])
    after = client.items()  # the server sees that the set is another one
    assert [(item["label"], item["area"], item["decision"]) for item in after] == [
        ("plane", 400, None), ("ship", 1400, None), ("bridge", 4900, None), ("plane", 96, None),
    ]  # fmt: skip
    manifest = json.loads((tmp_path / "set/manifest.json").read_text())
    assert manifest["review"]["counts"]["redrawn"] == 2 and manifest["review"]["counts"]["stale"] == 0
    stale = client.http.post(f"{client.base}/decisions", json={"reviewer": "anna", "number": 0, "decision": "accept",
                                                                "state": items[0]["state"]})  # fmt: skip
    assert stale.status_code == 409 and "converted again" in stale.json()["detail"]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"decision": "class"}, 400, "needs exactly class"),
    ({"decision": "class", "new_class": "boat"}, 400, "no class 'boat'"),
    ({"decision": "box", "box": [5, 5, 5, 9]}, 400, "x1 < x2"),
    ({"decision": "mask", "rings": [[[0, 0], [0, 0], [0, 0]]]}, 400, "has no pixels"),
    ({"decision": "accept", "reviewer": "../x"}, 422, "pattern"),
    ({"decision": "undo"}, 422, "accept"),
    ({"decision": "accept", "number": 99}, 404, "no object 99"),
    ({"decision": "accept", "number": 2**70}, 422, "less than"),
    ({"decision": "box", "box": [1e308, 0, 1, 1]}, 422, "less than"),
    ({"decision": "accept", "colour": 1}, 422, "Extra"),
]


def test_what_is_refused(client: Client) -> None:
    item = client.items()[0]
    for body, status, text in REFUSED:
        row = {"reviewer": "anna", "number": 0, "state": item["state"], **body}
        answer = client.http.post(f"{client.base}/decisions", json=row)
        assert answer.status_code == status and text in answer.text, body
    assert client.get()["decided"] == 0


def test_other_layers_and_classes(client: Client, world: Path, serve: Serve) -> None:
    assert client.http.get("/api/review/none").status_code == 404
    assert client.http.get(f"{client.base}/items", params={"label": "boat"}).status_code == 400
    image = Client(serve(world / "images/P1.png"))
    answer = image.http.get(image.base)
    assert answer.status_code == 400 and "no converted set" in answer.json()["detail"]


@pytest.mark.slow
def test_a_mask_by_clicks_and_box(client: Client, tmp_path: Path) -> None:
    """GrabCut finds the square of one colour on the dark ground; its outline goes back as the object's mask."""
    item = client.items()[1]
    body = {"number": 1, "state": item["state"], "context": 2, "box": [56, 16, 94, 54]}
    answer = client.http.post(f"{client.base}/segment", params={"wait": 600}, json=body)
    assert answer.status_code == 200 and answer.json()["state"] == "done", answer.text
    (feature,) = answer.json()["result"]["features"]
    (ring, *holes) = feature["geometry"]["coordinates"]
    assert not holes
    client.decide(item, "mask", rings=[ring[:-1]])
    (own,) = read_decisions(tmp_path / "served" / client.get()["file"])
    assert own.mask is not None
    mask = rle_to_crop(own.mask)
    truth = fill_hbox((60, 20, 90, 50), (100, 120))
    assert mask_intersection(mask, truth) > 0.95 * 900 and mask.area < 1.1 * 900
    nothing = {"number": 1, "state": item["state"]}
    refused = client.http.post(f"{client.base}/segment", json=nothing)
    assert refused.status_code == 400 and "which object is meant" in refused.json()["detail"]
