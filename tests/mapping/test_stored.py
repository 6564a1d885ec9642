"""Whether a map is in a storage, and what it costs to know; messy names, damaged files, requests that fail."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pyogrio
import pytest
from fsspec.implementations.memory import MemoryFile

from rsseg.errors import DataError
from rsseg.io.storage import Storage
from rsseg.mapping import Products
from rsseg.mapping.collection import collect
from rsseg.mapping.delivery import begin_delivery
from rsseg.mapping.item import MapItem
from rsseg.mapping.sources import sources_of
from rsseg.mapping.stored import Listing
from tests.mapping.deliveries import NAMES, Deliver, contents
from tests.object_store import Store


def test_finished_maps_cost_one_listing_and_their_items(store: type[Store], deliver: Deliver) -> None:
    address, more, test = "s3://bucket/maps", ["b.tif", "c.tif"], {"put_file": 1, "rm_file": 1}
    deliver(address, more=more)
    store.requests.clear()
    assert deliver(address) == 0  # a command for a single map does not list what may be a million files
    assert Counter(request.split()[0] for request in store.requests) == {**test, "cat_file": 1, "info": 6}
    store.requests.clear()
    assert deliver(address, more=more) == 0
    assert Counter(request.split()[0] for request in store.requests) == {**test, "cat_file": 3, "info": 6, "find": 1}
    store.store.pop("/bucket/maps/c_areas.csv")
    assert deliver(address, more=more) == 0 and "/bucket/maps/c_areas.csv" in store.store


def test_a_listing_is_believed_only_where_it_says_what_is_expected(store: type[Store]) -> None:
    """What another process has written since is asked for."""
    write, listing = Storage("s3://bucket/maps")._system.pipe_file, Listing(Storage("s3://bucket/maps"))
    for name in ("a", "b", "c"):
        write(f"/bucket/maps/{name}", b"123")
    assert listing.differing({"a": 3, "b": 4}) == ["b"]
    assert listing.differing({"a": 3, "b": 4, "d": 1}) == ["b", "d"] and store.requests[-3].startswith("find")
    write("/bucket/maps/b", b"1234")
    write("/bucket/maps/d", b"1")
    store.requests.clear()
    assert listing.differing({"a": 3, "b": 4, "c": 3, "d": 1}) == []
    assert store.requests == ["info /bucket/maps/b", "info /bucket/maps/d"]


def test_without_a_listing_each_file_is_asked_for(store: type[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(request: str) -> None:
        if request.startswith("find"):
            raise OSError("503 SlowDown")

    place = Storage("s3://bucket/maps")
    place._system.pipe_file("/bucket/maps/a", b"123")
    monkeypatch.setattr(store, "before", fail)
    listing = Listing(place)
    assert [listing.differing({"a": 3, "b": 4}) for _ in range(3)] == [["b"]] * 3


def test_what_others_have_under_the_name_of_a_map_stays(store: type[Store], deliver: Deliver) -> None:
    """Such as the images themselves; what a killed upload has left, from whatever work folder, is replaced."""
    Storage("s3://bucket/maps")._system.pipe_file("/bucket/maps/map.tif", b"an image")
    with pytest.raises(DataError, match=r"s3://bucket/maps/map.tif: exists, and is no map of rsseg; choose another"):
        deliver("s3://bucket/maps")
    assert contents("s3://bucket/maps") == {"map.tif": b"an image"}
    assert deliver("s3://bucket/maps", overwrite=True) > 0
    store.store.pop("/bucket/maps/map.stac.json")
    assert deliver("s3://bucket/maps") > 0 and sorted(contents("s3://bucket/maps")) == NAMES


def test_what_others_add_to_an_item_from_elsewhere_is_no_part_of_the_map(
    store: type[Store], deliver: Deliver, tmp_path: Path
) -> None:
    """Nothing is written, or removed, beside the work folder and the folder in the storage."""
    deliver("s3://bucket/maps", products=Products())
    at = "/bucket/maps/map.stac.json"
    item = json.loads(store.store[at].getvalue())
    other = {"file:size": 5, "file:checksum": "1220" + sha256(b"other").hexdigest()}
    item["assets"] |= {"other": {"href": "../../other", **other}, "scene": {"href": "s3://bucket/scene.tif", **other}}
    system = Storage("s3://bucket/maps")._system
    system.store["/bucket/maps/../../other"] = MemoryFile(system, "/bucket/maps/../../other", b"other")
    system.pipe_file(at, json.dumps(item).encode())
    assert deliver("s3://bucket/maps", products=Products()) == 0, "the map is whole"
    assert deliver("s3://bucket/maps") == 0 and "/bucket/maps/map.gpkg" in store.store
    assert "/bucket/maps/../../other" in store.store and not list(tmp_path.rglob("other"))


def test_a_storage_that_fails_now_and_then(
    store: type[Store], deliver: Deliver, local: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of seven requests: at any time the item describes what is there, and repeated commands end well."""

    def fail(request: str) -> None:
        assert "/bucket/maps/map.stac.json" not in store.store or contents_are_whole()
        if dice.random() < 1 / 7:
            raise OSError("503 SlowDown")

    def contents_are_whole() -> bool:
        there = {name.rpartition("/")[2]: file.getvalue() for name, file in store.store.items()}
        item = MapItem.parse(there["map.stac.json"], "x")
        return all(sha256(there[name]).hexdigest() == file.sha256 for name, file in item.files.items())

    dice, failures = Random(0), 0
    for options in (dict(overlap=0.5), dict(overwrite=True)):
        for _ in range(20):
            monkeypatch.setattr(store, "before", fail)
            try:
                deliver("s3://bucket/maps", **options)
                break
            except OSError as error:
                assert "503 SlowDown" in str(error)
                failures += 1
    monkeypatch.undo()
    assert failures > 3 and deliver("s3://bucket/maps") == 0  # which removes the file that shows that it can write
    assert contents("s3://bucket/maps") == local


def test_no_map_takes_the_place_of_its_raster(
    store: type[Store], write_raster: Any, noise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a map that an earlier run has made a raster of the next one."""
    names = ["/vsis3/bucket/in/a.tif", "/vsis3/bucket/in/maps/a.tif"]
    monkeypatch.setattr(pyogrio, "vsi_listtree", lambda root: names)
    folder = tmp_path / "in #1"
    for name in ("a.tif", "maps/a.tif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_raster(noise(3, 8, 8), f"in #1/{name}")
    for source, place in (("s3://bucket/in/", "s3://bucket/in"), (str(folder), f"file://{folder}")):
        delivery, work = begin_delivery(f"{place}/maps/", tmp_path / "work", None)
        jobs = sources_of(source, work, place=f"{place}/maps/")
        assert [target.relative_to(work).as_posix() for _, target in jobs] == ["a.tif"]
        delivery.check_sources(jobs)
        delivery, work = begin_delivery(place, tmp_path / "work", None)
        jobs = sources_of(source, work, place=place)
        with pytest.raises(DataError, match=r"a.tif: its map would replace it; choose another folder than .*/in"):
            delivery.check_sources(jobs)


@pytest.mark.parametrize("place", ["s3://bucket", "file://{folder}"])
def test_names_with_signs_of_addresses(place: str, store: type[Store], deliver: Deliver, tmp_path: Path) -> None:
    address, name = f"{place.format(folder=tmp_path)}/Größe #2? a%20[b]*", "my map; #1?é!.tif"
    assert deliver(address, name=name) > 0 and deliver(address, name=name) == 0
    assert collect(Storage(f"{address}/")).maps == 1 == collect(Storage(address)).maps
    assert len(contents(address)) == len(NAMES) + 4
