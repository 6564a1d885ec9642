"""Maps in a storage: the same bytes as locally, whole or not there, uploaded and computed once."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from rsseg.errors import ConfigError, DataError, JobError
from rsseg.io.shards import Shard
from rsseg.io.storage import Storage
from rsseg.mapping import MapOptions, Products, map_raster
from rsseg.mapping.delivery import Delivery, _work_folder, begin_delivery
from rsseg.mapping.item import MapItem, item_path
from rsseg.mapping.sharing import Part, share_jobs, whole_jobs
from rsseg.mapping.stored import StoredMap
from tests.mapping.deliveries import GPKG, NAMES, OPTIONS, Deliver, contents
from tests.mapping.slow_files import STOPPED, SlowFiles


@pytest.fixture(params=["memory", "slow"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty folder in a storage."""
    SlowFiles.puts.clear()
    yield f"{request.param}://{tmp_path}/store"


def test_a_map_is_uploaded_whole_and_made_once(
    place: str, deliver: Deliver, local: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert sorted(local) == NAMES
    assert deliver(place) > 0 and contents(place) == local
    assert not (tmp_path / "work").exists() or not list((tmp_path / "work").iterdir())
    assert "6 of 6 files uploaded" in caplog.text
    SlowFiles.puts.clear()
    assert deliver(place) == 0 and contents(place) == local
    assert "map.tif: exists already" in caplog.text and SlowFiles.puts in ([], [".rsseg-write-test"])


def test_the_item_is_the_last_file(deliver: Deliver, tmp_path: Path) -> None:
    SlowFiles.puts.clear()
    deliver(f"slow://{tmp_path}/store")
    assert SlowFiles.puts[0] == ".rsseg-write-test" and SlowFiles.puts[-1] == "map.stac.json"
    assert sorted(SlowFiles.puts[1:]) == NAMES


def test_other_settings_are_refused_or_replace_all(place: str, deliver: Deliver, tmp_path: Path) -> None:
    deliver(place)
    before = contents(place)
    with pytest.raises(JobError, match=rf"{place}/map.tif: exists and was made with another overlap; .*--overwrite"):
        deliver(place, overlap=0.5)
    with pytest.raises(JobError, match="--update cannot help"):
        deliver(place, overlap=0.5, update=True)
    assert contents(place) == before
    assert deliver(place, overlap=0.5, probabilities=None, overwrite=True) > 0
    after = contents(place)  # and what belonged to the map before is gone
    assert sorted(after) == [name for name in NAMES if "probabilities" not in name]
    os.utime(tmp_path / "source.tif", ns=(0, 10**18))
    with pytest.raises(JobError, match=r"the raster has changed.|add --update"):
        deliver(place, overlap=0.5, probabilities=None)
    assert deliver(place, overlap=0.5, probabilities=None, update=True) > 0
    assert contents(place)["map.tif"] != after["map.tif"]


def test_further_products_need_no_model(place: str, deliver: Deliver, local: dict[str, bytes]) -> None:
    assert deliver(place, Products()) > 0 and "map.gpkg" not in contents(place)
    SlowFiles.puts.clear()
    assert deliver(place) == 0 and contents(place) == local
    assert SlowFiles.puts in ([], [".rsseg-write-test", "map.gpkg", "map.stac.json"])
    assert deliver(place, Products(vectors="gpkg", min_area=2)) == 0 and contents(place) != local
    assert deliver(place, Products()) == 0 and "map.gpkg" in contents(place)
    for suffix in ("fgb", "geojson", "gpkg"):  # those in other formats stay, as they do locally
        assert deliver(place, Products(vectors=suffix)) == 0
    assert {"map.fgb", "map.geojson", "map.gpkg"} <= contents(place).keys()
    SlowFiles.puts.clear()
    assert deliver(place, Products(vectors="fgb")) == 0 and SlowFiles.puts in ([], [".rsseg-write-test"])
    assets = MapItem.parse(contents(place)["map.stac.json"], "x").assets
    hrefs = {key: asset["href"] for key, asset in assets.items() if asset["title"] == "polygons of the classes"}
    assert hrefs == {"polygons": "./map.gpkg", "polygons_fgb": "./map.fgb", "polygons_geojson": "./map.geojson"}


def test_what_is_missing_or_changed_there_is_made_again(
    place: str, deliver: Deliver, local: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deliver(place)
    Storage(place).remove("map_areas.csv")
    assert deliver(place) == 0 and contents(place) == local
    assert "map_areas.csv: is missing" in caplog.text.replace("map.tif: map_areas.csv is", "map_areas.csv: is")
    Storage(place).remove("map.tif")
    assert deliver(place) > 0 and contents(place) == local
    (tmp_path / "other").write_bytes(bytes(len(local["map.tif"])))  # as many bytes, but others
    Storage(place).put(tmp_path / "other", "map.tif")
    with pytest.raises(DataError, match=r"map.tif: is not what the map's item says; add --overwrite"):
        deliver(place, Products(vectors="fgb"))
    assert (
        deliver(place, Products(vectors="fgb"), overwrite=True) > 0 and contents(place)["map.tif"] == local["map.tif"]
    )
    assert deliver(place) == 0
    there = contents(place)
    assert all(there[name] == data for name, data in local.items() if name != "map.stac.json")
    Storage(place).remove("map.fgb")
    Storage(place).put(tmp_path / "other", "map.stac.json")
    with pytest.raises(DataError, match=r"map.stac.json: is no STAC item of a map"):
        deliver(place)
    assert deliver(place, overwrite=True) > 0 and contents(place) == local


UPLOAD = """
import sys
from pathlib import Path
from slow_files import SlowFiles
from rsseg.mapping.delivery import Delivery

address, folder, SlowFiles.stop_at = sys.argv[1:]
Delivery(address, Path(folder)).stored(Path(folder) / "map.tif").upload()
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop_at, there", [("map.tif", 0), ("_areas.csv", 2), (".stac.json", 6)])
def test_a_killed_upload_leaves_no_half_file(
    stop_at: str,
    there: int,
    deliver: Deliver,
    local: dict[str, bytes],
    stub: Any,
    table: Any,
    tmp_path: Path,
    repo: Path,
) -> None:
    """kill -9 in the middle of a file; the command that is repeated uploads the others only."""
    address = f"slow://{tmp_path}/store"
    delivery, target = begin_delivery(f"{address}/map.tif", tmp_path / "work", "gpkg")
    map_raster(str(tmp_path / "source.tif"), target, stub, table, MapOptions(**OPTIONS), {}, products=GPKG)
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}{os.pathsep}{repo}"}
    command = [sys.executable, "-c", UPLOAD, address, str(delivery.folder), stop_at]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None and STOPPED in process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    found = contents(address)
    assert len(found) == there and all(local[name] == data for name, data in found.items())
    assert len(list((tmp_path / "store").iterdir())) == there + 1  # a half, under another name
    SlowFiles.puts.clear()
    assert deliver(address) == 0 and contents(address) == local
    assert len(SlowFiles.puts) == 1 + len(NAMES) - there  # with the test whether the place can be written
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == NAMES


TWICE = """
import sys, time
from pathlib import Path
import torch
from rsseg.mapping import MapOptions, Products, map_raster
from rsseg.mapping.delivery import begin_delivery
from rsseg.metainfo import load_metainfo

class Slow:
    classes, probabilities, device = 3, False, torch.device("cpu")

    def prepare(self, windows):
        time.sleep(0.05)
        return torch.stack([torch.from_numpy(pixels).float() for pixels in windows])

    def __call__(self, batch):
        return batch.flip(1)

address, work, source, table = sys.argv[1:]
options, products = MapOptions(window=(32, 32), batch=4, probabilities="top"), Products(vectors="gpkg")
delivery, target = begin_delivery(address, Path(work), "gpkg")
arguments = source, target, Slow(), load_metainfo(table), options, {}
if map_raster(*arguments, products=products, stored=delivery.stored(target)):
    delivery.upload_after(lambda source, target: None)(source, target)
"""


@pytest.mark.slow
def test_two_commands_for_the_same_map(
    deliver: Deliver, local: dict[str, bytes], tmp_path: Path, forked_python: dict[str, str]
) -> None:
    """Both end well, whether one waits for the other or finds what it has uploaded."""
    address = f"file://{tmp_path}/store"
    arguments = [f"{address}/map.tif", tmp_path / "work", tmp_path / "source.tif", tmp_path / "rgb.json"]
    command = [forked_python["PYTHON"], "-c", TWICE, *map(str, arguments)]
    running = [subprocess.Popen(command, env=forked_python, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
    assert contents(address) == local
    assert deliver(address) == 0


def test_a_failed_upload_keeps_the_map_and_goes_on(
    deliver: Deliver, local: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, put = f"slow://{tmp_path}/store", SlowFiles.put_file

    def fail(self: SlowFiles, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        if path1.endswith("map_areas.csv"):
            raise ConnectionError("the line is dead")
        put(self, path1, path2, *args, **kwargs)

    monkeypatch.setattr(SlowFiles, "put_file", fail)
    with pytest.raises(OSError, match=r"map_areas.csv: cannot be written \(ConnectionError: the line is dead\)"):
        deliver(address)
    assert "map.stac.json" not in contents(address) and "map_areas.csv" not in contents(address)
    monkeypatch.setattr(SlowFiles, "put_file", put)
    assert deliver(address) == 0 and contents(address) == local


def test_a_replaced_map_is_never_described_by_an_old_item(
    deliver: Deliver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, put, seen = f"slow://{tmp_path}/store", SlowFiles.put_file, []

    def watch(self: SlowFiles, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        seen.append((tmp_path / "store" / "map.stac.json").exists())
        put(self, path1, path2, *args, **kwargs)

    deliver(address)
    monkeypatch.setattr(SlowFiles, "put_file", watch)
    deliver(address, overlap=0.5, overwrite=True)
    assert seen[0] and not any(seen[1:])


def test_a_map_that_came_in_the_meantime_is_replaced_as_a_whole(
    deliver: Deliver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two jobs with other settings, in work folders of their own, began before either had uploaded."""
    address, upload, seen, put = f"slow://{tmp_path}/store", StoredMap.upload, list[bool](), SlowFiles.put_file

    def meanwhile(self: StoredMap) -> None:
        monkeypatch.setattr(StoredMap, "upload", upload)
        shutil.move(tmp_path / "work", tmp_path / "first")
        deliver(address, overlap=0.5)
        shutil.rmtree(tmp_path / "work")
        shutil.move(tmp_path / "first", tmp_path / "work")
        monkeypatch.setattr(SlowFiles, "put_file", watch)
        self.upload()

    def watch(self: SlowFiles, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        seen.append((tmp_path / "store" / "map.stac.json").exists())
        put(self, path1, path2, *args, **kwargs)

    monkeypatch.setattr(StoredMap, "upload", meanwhile)
    deliver(address, Products(), probabilities=None)
    assert seen and not any(seen)
    assert sorted(contents(address)) == [name for name in NAMES if name not in ("map.gpkg", "map_probabilities.tif")]


class Dead(BaseException):
    """Ends a command as a signal does: nothing is put in order."""


@pytest.mark.parametrize("stop_at", ["map.stac.json", "map.tif"])
def test_a_replacement_that_is_killed_leaves_nothing_of_the_map_before(
    stop_at: str, deliver: Deliver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item that listed the old probabilities and polygons is gone by then; the repeated command knows."""
    address, put, remove = f"slow://{tmp_path}/store", SlowFiles.put_file, SlowFiles.rm_file
    deliver(address)

    def die(self: SlowFiles, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        if path1.endswith(stop_at):
            raise Dead
        put(self, path1, path2, *args, **kwargs)

    monkeypatch.setattr(SlowFiles, "put_file", die)
    with pytest.raises(Dead):
        deliver(address, Products(), overlap=0.5, probabilities=None, overwrite=True)
    assert "map.stac.json" not in contents(address)
    monkeypatch.setattr(SlowFiles, "put_file", put)
    monkeypatch.setattr(SlowFiles, "rm_file", remove)
    assert deliver(address, Products(), overlap=0.5, probabilities=None) == 0
    assert sorted(contents(address)) == [name for name in NAMES if name not in ("map.gpkg", "map_probabilities.tif")]
    assert not list((tmp_path / "work").iterdir())


def test_a_map_of_another_suffix_is_not_taken_for_it(
    deliver: Deliver, stub: Any, table: Any, noise: Any, tmp_path: Path
) -> None:
    picture, address = tmp_path / "picture.png", f"memory://{tmp_path}/store"
    cv2.imwrite(str(picture), noise(40, 50, 3))

    def run(name: str, overwrite: bool = False) -> None:
        delivery, target = begin_delivery(f"{address}/{name}", tmp_path / "work", None)
        options = MapOptions(window=(32, 32), batch=4, overwrite=overwrite)
        if map_raster(str(picture), target, stub, table, options, {}, stored=delivery.stored(target)):
            delivery.upload_after(lambda source, target: None)(str(picture), target)

    run("map.tif")
    with pytest.raises(DataError, match=r"map.png: what lies beside it under this name is of the map map.tif"):
        run("map.png")
    run("map.png", overwrite=True)
    assert sorted(contents(address)) == ["map.png", "map.stac.json", "map_areas.csv"]


@pytest.mark.parametrize("address", ["s3://map.tif", "memory://", "file:///", "memory:///map.tif"])
def test_an_address_without_a_folder_is_no_local_path(address: str, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"{address}: names no folder; expected {address.partition(':')[0]}://FOLDER/"
    ):
        begin_delivery(address, tmp_path / "work", None)


def test_the_work_folder_is_found_again(tmp_path: Path) -> None:
    first, map_one = begin_delivery(f"memory://{tmp_path}/a/maps/", tmp_path / "work", None)
    again, map_two = begin_delivery(f"memory://{tmp_path}/a/maps", tmp_path / "work", "fgb")
    other, _ = begin_delivery(f"memory://{tmp_path}/b/maps/x.tif", tmp_path / "work", None)
    assert first == again and map_one == map_two == first.folder and first.folder.is_dir()
    assert other.folder != first.folder and other.folder.name.startswith("maps-")
    assert pickle.loads(pickle.dumps(first)) == first  # for tasks of a cluster
    folders = {_work_folder(f"abfs://{name}@account.dfs.core.windows.net/maps", tmp_path) for name in ("a", "b")}
    assert len(folders) == 2  # containers of one account
    assert _work_folder("ftp://me:one@host/maps", tmp_path) == _work_folder("ftp://me:two@host/maps", tmp_path)
    secret = Delivery("ftp://me:secret@host/maps", tmp_path)
    assert "secret" not in repr(secret)
    with pytest.raises(ConfigError, match=r"--vectors out.gpkg: polygons go to the storage.*suffix only"):
        begin_delivery(f"memory://{tmp_path}/a/maps/", tmp_path / "work", "out.gpkg")


def test_a_storage_that_cannot_be_written_is_known_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(SlowFiles, "put_file", refuse)
    with pytest.raises(OSError, match=r"cannot be written \(PermissionError: AccessDenied\); check the address"):
        begin_delivery(f"slow://{tmp_path}/store", tmp_path / "work", None)


def test_shards_without_a_common_folder_have_whole_rasters(tmp_path: Path) -> None:
    """Three rasters of one size (none is a file) in two shards: the second is divided where files are shared."""
    jobs = [(name, tmp_path / f"{name}.tif") for name in ("a", "b", "c")]
    shards = [Shard(rank, 2, True) for rank in range(2)]
    assert [[job[0] for job, _ in share_jobs(jobs, shard)] for shard in shards] == [["a", "b"], ["b", "c"]]
    assert [[job[0] for job, _ in whole_jobs(jobs, shard)] for shard in shards] == [["a", "b"], ["c"]]
    assert {part for shard in shards for _, part in whole_jobs(jobs, shard)} == {Part()}


def test_an_item_lists_what_is_uploaded(place: str, deliver: Deliver, tmp_path: Path) -> None:
    deliver(place, name="sub/map.tif")
    item = MapItem.parse(contents(f"{place}/sub")["map.stac.json"], "x")
    assert {*item.files, item_path(Path("map.tif")).name} == {*NAMES}
