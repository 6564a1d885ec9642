"""Whether a map is in a storage, and what it costs to know; messy names, damaged files, requests that fail."""

from __future__ import annotations

from collections import Counter

from rsseg.io.storage import Storage
from rsseg.mapping.stored import Listing
from tests.mapping.deliveries import Deliver
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
