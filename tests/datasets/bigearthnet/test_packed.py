"""BigEarthNet in one LMDB: what is packed is what was stored, however often packing was interrupted."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal

import numpy as np
import pytest

from rsseg.datasets.bigearthnet import (
    find_patches,
    lmdb_file,
    pack_archive,
    packed,
    read_bands,
    read_packed,
    verify_packed,
)
from rsseg.datasets.bigearthnet.band_table import load_bands
from rsseg.datasets.bigearthnet.bands import check_bands
from rsseg.errors import JobError
from rsseg.io.chunks import CHUNKS
from rsseg.io.jobs import Job
from rsseg.io.shards import read_shard

lmdb = pytest.importorskip("lmdb")
safetensors = pytest.importorskip("safetensors.numpy")
OPTICAL = [name for name, band in load_bands().items() if not band.radar]


def _content(folder):
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {key.decode(): safetensors.load(value) for key, value in transaction.cursor()}


def test_keys_and_values_are_those_of_rico_hdl(archive_v2, tmp_path):
    root = archive_v2([(["Pastures"], "train", False), (["Mixed forest"], "test", False)])
    done = pack_archive(root, tmp_path / "packed", "v2", radar=True)
    assert (done.packed, done.found, done.problems) == (4, 0, [])
    content = _content(tmp_path / "packed")
    optical, radar = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP", "S1A_IW_GRDH_1SDV_20170613T165043"
    assert sorted(content) == [f"{radar}_33UUP_26_0", f"{radar}_33UUP_26_1", f"{optical}_26_0", f"{optical}_26_1"]
    assert sorted(content[f"{optical}_26_1"]) == sorted(OPTICAL)
    assert {b: p.dtype.name for b, p in content[f"{radar}_33UUP_26_0"].items()} == {"VV": "float32", "VH": "float32"}
    folder = root / "BigEarthNet-S2" / optical / f"{optical}_26_1"
    for name, plane in zip(OPTICAL, read_bands(folder, folder.name, check_bands(OPTICAL)), strict=True):
        assert np.array_equal(content[folder.name][name], plane)
    assert verify_packed(root, tmp_path / "packed", "v2", radar=True) == []
    lines = (tmp_path / "packed" / "patches.csv").read_text().splitlines()
    assert lines[0] == "patch,labels,date,country,split,s1,excluded"
    assert lines[1] == f"{optical}_26_0,Pastures,2017-06-13,Austria,train,{radar}_33UUP_26_0,False"


def test_what_was_written_by_others_is_read(tmp_path):
    planes = {name: np.full((band.side,) * 2, i, np.uint16) for i, (name, band) in enumerate(load_bands().items())}
    with lmdb.open(str(tmp_path), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"S2A_x_0_0", safetensors.save({name: planes[name] for name in OPTICAL}, {"made": "by hand"}))
    read = read_packed(tmp_path, "S2A_x_0_0", check_bands(["B8A", "B02"]))
    assert [int(plane[0, 0]) for plane in read] == [8, 1] and read[0].shape == (60, 60)


def test_jobs_that_share_the_work_write_what_one_writes(archive_v1, tmp_path, monkeypatch):
    """Five patches in batches of two; one job twice, another number of jobs, a writer that is killed, a late job."""
    monkeypatch.setattr(packed, "_BATCH", 2)
    root, alone, out = archive_v1([["Pastures"]] * 5), tmp_path / "alone", tmp_path / "shared"
    broken = root / "BigEarthNet-v1.0" / "S2A_MSIL2A_20170617T113321_0_1" / "S2A_MSIL2A_20170617T113321_0_1_B05.tif"
    broken.write_bytes(broken.read_bytes()[:500])
    assert len(pack_archive(root, alone).problems) == 1
    for shard in ("2/3", "2/3", "1/3"):
        assert pack_archive(root, out, shard=read_shard(shard)).packed == 0
        assert not (out / "data.mdb").exists()
    with pytest.raises(ValueError, match="--update requires a single process"):
        pack_archive(root, out, update=True, shard=read_shard("0/2"))
    put, calls = packed._put, []

    def fail(environment, items):
        calls.append(items)
        if len(calls) == 2:
            raise KeyboardInterrupt
        put(environment, items)

    monkeypatch.setattr(packed, "_put", fail)
    with pytest.raises(KeyboardInterrupt):
        pack_archive(root, out, shard=read_shard("0/2"))
    monkeypatch.setattr(packed, "_put", put)
    done = pack_archive(root, out, shard=read_shard("0/2"))
    assert (done.packed, done.found, len(done.problems)) == (3, 1, 1)  # three of the second and third batch
    assert _content(out).keys() == _content(alone).keys() and not (out / CHUNKS).exists()
    straight = tmp_path / "straight"
    for rank in range(2):
        done = pack_archive(root, straight, shard=read_shard(f"{rank}/2"))
    assert done.packed == 4 and len(done.problems) == 1
    for name in ("data.mdb", "patches.csv"):
        assert (alone / name).read_bytes() == (straight / name).read_bytes(), name
    late = pack_archive(root, straight, shard=read_shard("0/2"))  # tries the broken one again
    assert (late.packed, late.found, len(late.problems)) == (0, 4, 1)


def test_patches_that_come_while_jobs_share_the_work(archive_v1, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_BATCH", 2)
    root, out = archive_v1([["Pastures"]] * 5), tmp_path / "shared"
    patches = root / "BigEarthNet-v1.0"
    (patches / "S2A_MSIL2A_20170617T113321_0_1").rename(tmp_path / "later")
    assert pack_archive(root, out, shard=read_shard("0/2")).packed == 0
    (tmp_path / "later").rename(patches / "S2A_MSIL2A_20170617T113321_0_1")
    for rank in (1, 0):
        done = pack_archive(root, out, shard=read_shard(f"{rank}/2"))
    assert done.packed == 5 and sorted(_content(out)) == find_patches(root, "v1")


def test_two_jobs_that_end_at_once(archive_v1, tmp_path, monkeypatch):
    """Both see all chunks; the second one finds that the first one has written, though a patch is broken."""
    root, out = archive_v1([["Pastures"]] * 2), tmp_path / "shared"
    broken = root / "BigEarthNet-v1.0" / "S2A_MSIL2A_20170617T113321_0_1" / "S2A_MSIL2A_20170617T113321_0_1_B05.tif"
    broken.write_bytes(broken.read_bytes()[:500])
    share, done = packed.share_chunks, []

    def share_twice(*args):
        files = share(*args)
        if not done:
            done.append(True)
            done.append(pack_archive(root, out, shard=read_shard("1/2")))
        return files

    monkeypatch.setattr(packed, "share_chunks", share_twice)
    late = pack_archive(root, out, shard=read_shard("0/2"))
    assert (done[1].packed, len(done[1].problems)) == (1, 1) and (late.packed, late.found) == (0, 2)


def test_a_second_run_packs_what_is_new_or_was_broken(archive_v1, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_FIRST_SIZE", 1 << 18)  # less than two patches: the map has to grow
    root, out = archive_v1([["Pastures"]] * 4), tmp_path / "packed"
    broken = root / "BigEarthNet-v1.0" / "S2A_MSIL2A_20170617T113321_0_2" / "S2A_MSIL2A_20170617T113321_0_2_B05.tif"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:500])
    first = pack_archive(root, out)
    assert first.packed == 3 and len(first.problems) == 1
    assert "patch S2A_MSIL2A_20170617T113321_0_2, band B05" in first.problems[0]
    broken.write_bytes(whole)
    second = pack_archive(root, out)
    assert (second.packed, second.found, second.problems) == (1, 3, [])
    assert sorted(_content(out)) == find_patches(root, "v1")
    assert verify_packed(root, out) == []


@pytest.mark.parametrize(("when", "left"), [("before", 2), ("within", 2), ("after", 3)])
def test_killed_at_any_moment(archive_v1, tmp_path, monkeypatch, when, left):
    root, out = archive_v1([["Pastures"]] * 5), tmp_path / "packed"
    monkeypatch.setattr(packed, "_BATCH", 1)
    put, calls = packed._put, []

    def kill(environment, items):
        calls.append(items)
        if len(calls) == 3 and when == "within":
            transaction = environment.begin(write=True)
            transaction.put(items[0][0].encode(), items[0][1])
        elif len(calls) < 3 or when == "after":
            put(environment, items)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(packed, "_put", kill)
    process = multiprocessing.get_context("fork").Process(target=pack_archive, args=(root, out))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    monkeypatch.setattr(packed, "_put", put)
    done = pack_archive(root, out)
    assert (done.found, done.packed) == (left, 5 - left)
    assert verify_packed(root, out) == []


def test_verification_finds_what_differs(archive_v1, writers, tmp_path):
    root, out = archive_v1([["Pastures"]] * 2), tmp_path / "packed"
    pack_archive(root, out)
    name = "S2A_MSIL2A_20170617T113321_0_0"
    writers.tif(root / "BigEarthNet-v1.0" / name / f"{name}_B02.tif", np.zeros((120, 120), np.uint16))
    assert len(found := verify_packed(root, out)) == 1
    assert f"patch {name}, band B02: what is packed differs" in found[0]
    again = pack_archive(root, out)  # it was taken out, so that it is packed anew
    assert (again.packed, again.found) == (1, 1)
    assert verify_packed(root, out) == []


def test_a_file_that_gave_up_pages_at_its_end_is_whole(tmp_path):
    """Its last pages were never written: by its header it is larger than it is."""
    value = safetensors.save({"B02": np.ones((120, 120), np.uint16)})
    steps = [dict(x=value, z=bytes(90_000)), dict(z=None), dict(q=bytes(20_000)), dict(y=bytes(400_000)), dict(y=None)]
    with lmdb.open(str(tmp_path), map_size=1 << 22) as environment:
        for together in (steps[:1], steps[1:2], steps[2:3], steps[3:]):
            with environment.begin(write=True) as transaction:
                for key, content in (item for step in together for item in step.items()):
                    transaction.put(key.encode(), content) if content else transaction.delete(key.encode())
        wanted = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    assert (tmp_path / "data.mdb").stat().st_size < wanted
    assert read_packed(tmp_path, "x", check_bands(["B02"]))[0].min() == 1


def test_a_cut_file_is_named(archive_v1, tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_file, "_SLACK", 0)
    root, out = archive_v1([["Pastures"]] * 2), tmp_path / "packed"
    pack_archive(root, out)
    size = (out / "data.mdb").stat().st_size
    os.truncate(out / "data.mdb", size // 2)
    message = rf"packed: data.mdb has {size // 2} of {size} bytes; copy it again, or delete it"
    with pytest.raises(ValueError, match=message):
        read_packed(out, find_patches(root, "v1")[0], check_bands(["B02"]))
    with pytest.raises(ValueError, match=message):
        pack_archive(root, out)


def test_another_process_makes_the_file_larger(archive_v1, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "_FIRST_SIZE", 1 << 18)  # less than two patches
    monkeypatch.setattr(packed, "_BATCH", 1)
    root, out = archive_v1([["Pastures"]] * 6), tmp_path / "packed"
    fork = multiprocessing.get_context("fork")
    both = fork.Barrier(2)

    def pack():
        both.wait(600)  # neither finds what the other packs
        assert pack_archive(root, out).problems == []

    processes = [fork.Process(target=pack) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(_content(out)) == find_patches(root, "v1")
    names = find_patches(root, "v1")
    opened = fork.Event()
    grow = fork.Process(target=_append, args=(out, opened))
    grow.start()
    read_packed(out, names[0], check_bands(["B02"]))
    opened.set()
    grow.join()
    assert grow.exitcode == 0
    assert read_packed(out, names[0], check_bands(["B02"]))[0].shape == (120, 120)


def _append(out, opened):
    assert opened.wait(600)
    with lmdb.open(str(out), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for i in range(40):
            transaction.put(f"other {i}".encode(), bytes(200_000))


def test_damage_is_named(tmp_path):
    half = safetensors.save({"B02": np.zeros((120, 120), np.uint16)})[:-100]
    odd = safetensors.save({"B02": np.zeros((4, 4), np.uint16)}).replace(b"[4,4]", b"[4,5]")
    values = {
        b"odd": odd,
        b"noise": b"\xff" * 50,
        b"half": half,
        b"small": safetensors.save({"B02": np.zeros((9, 9), np.uint16)}),
    }
    with lmdb.open(str(tmp_path), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key, value)
    messages = {
        "noise": "patch noise: .* holds no safetensors for it",
        "odd": "patch odd, band B02: .* holds only part of it",
        "half": "patch half, band B02: .* holds only part of it",
        "small": r"patch small, band B02: uint16 of shape \(9, 9\), but must be 120 x 120",
    }
    for name, message in messages.items():
        with pytest.raises(ValueError, match=message):
            read_packed(tmp_path, name, check_bands(["B02"]))
    with pytest.raises(FileNotFoundError, match=r"patch other: not in .*; run rsseg pack-bigearthnet again"):
        read_packed(tmp_path, "other", check_bands(["B02"]))
    with pytest.raises(FileNotFoundError, match=r"patch small, band B03: .* has B02 only"):
        read_packed(tmp_path, "small", check_bands(["B03"]))
    with pytest.raises(FileNotFoundError, match=r"no packed patches \(data.mdb\)"):
        read_packed(tmp_path / "nowhere", "other", check_bands(["B02"]))


def test_an_update_packs_what_differs_and_takes_out_what_is_gone(archive_v1, writers, tmp_path):
    root, out = archive_v1([["Pastures"]] * 3), tmp_path / "packed"
    pack_archive(root, out)
    names = find_patches(root, "v1")
    writers.tif(root / "BigEarthNet-v1.0" / names[0] / f"{names[0]}_B02.tif", np.zeros((120, 120), np.uint16))
    shutil.rmtree(root / "BigEarthNet-v1.0" / names[2])
    with pytest.raises(JobError, match=rf"holds 1 patches that .* does not have \({names[2]}\)\. Use --update"):
        pack_archive(root, out)
    done = pack_archive(root, out, update=True)
    assert (done.packed, done.found) == (1, 1)
    assert sorted(_content(out)) == names[:2] and verify_packed(root, out) == []
    with pytest.raises(JobError, match="archive was 'v1', now 'v2'"):
        Job(out, "packed patches").claim({"archive": "v2"})
