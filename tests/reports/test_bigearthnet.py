"""Statistics of a BigEarthNet archive, by hand."""

from __future__ import annotations

import bz2
import csv
import json
from dataclasses import replace

import pytest

import rsseg.datasets.bigearthnet.shares
from rsseg.datasets.bigearthnet import PatchInfo, read_infos, season_of
from rsseg.datasets.bigearthnet.counts import count_archive
from rsseg.io.shards import Shard
from rsseg.reports.bigearthnet.report import report_archive, summary

ZONE = 'PROJCS["WGS 84 / UTM zone {}N",GEOGCS["WGS 84"]]'


def _info(name, labels, date, zone=29, corner=(643200.0, 5798040.0), **more):
    return PatchInfo(name, tuple(labels), date, projection=ZONE.format(zone), corner=corner, **more)


PATCHES = [
    _info("a", ["Pastures"], "2017-06-17"),  # Ireland
    _info("b", ["Pastures", "Water bodies"], "2017-12-21", corner=(567180.0, 4358040.0)),  # Portugal
    _info("c", ["Airports"], "2018-02-01", 35, (649200.0, 6965220.0)),  # Finland; none of the 19
    _info("d", ["Pastures", "Rice fields", "Vineyards"], "2018-05-02", 34, (551580.0, 4883220.0)),  # Serbia
    _info("e", ["Sea and ocean"], "2017-09-14", country="Lithuania"),
]


def _table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_counts_by_hand():
    counts = count_archive(iter(PATCHES), countries={"a": "Kosovo"})
    assert counts.images == 5
    assert dict(counts.classes["level3"]) == {17: 3, 39: 1, 5: 1, 13: 1, 14: 1, 42: 1}
    assert dict(counts.classes["level1"]) == {1: 3, 4: 2, 0: 1}
    assert counts.unlabelled["nineteen"] == 1 and counts.unlabelled["level3"] == 0
    assert dict(counts.labels) == {1: 3, 2: 1, 3: 1}
    assert counts.seasons == {"autumn": 1, "winter": 2, "spring": 1, "summer": 1}
    assert dict(counts.countries) == {"Kosovo": 1, "Portugal": 1, "Finland": 1, "Serbia": 1, "Lithuania": 1}
    told = summary(counts, "v1")
    assert (told["labels_per_image"], told["most_labels"], told["share_with_at_most_5"]) == (1.6, 3, 1.0)
    assert (told["first_date"], told["last_date"]) == ("2017-06-17", "2018-05-02")


@pytest.mark.parametrize(
    ("month", "season"),
    [(12, "winter"), (2, "winter"), (3, "spring"), (5, "spring"), (6, "summer"), (9, "autumn"), (11, "autumn")],
)
def test_seasons(month, season):
    assert season_of(f"2017-{month:02d}-30") == season


def test_the_six_real_patches(samples, tmp_path):
    report_archive(samples / "bigearthnet_v1", tmp_path)
    classes = {row["class"]: row for row in _table(tmp_path / "classes.csv") if row["labels"] == "level3"}
    assert len(classes) == 43
    assert classes["Broad-leaved forest"]["images"] == "5"
    assert (classes["Pastures"]["images"], classes["Pastures"]["paper"], classes["Pastures"]["code"]) == (
        "2",
        "103554",
        "231",
    )
    assert sum(row["labels"] == "nineteen" for row in _table(tmp_path / "classes.csv")) == 19
    assert {row["country"]: row["images"] for row in _table(tmp_path / "countries.csv")} == {
        "Finland": "1",
        "Ireland": "2",
        "Portugal": "1",
        "Serbia": "2",
    }
    assert [(row["season"], row["images"]) for row in _table(tmp_path / "seasons.csv")] == [
        ("autumn", "2"),
        ("winter", "1"),
        ("spring", "2"),
        ("summer", "1"),
    ]
    assert [row["images"] for row in _table(tmp_path / "labels_per_image.csv")] == ["0", "0", "2", "2", "2"]
    assert len(_table(tmp_path / "dates.csv")) == 6
    for name in ("classes", "labels_per_image", "dates", "countries"):
        assert (tmp_path / "figures" / f"{name}.png").stat().st_size > 5000


def test_countries_of_the_authors_list(tmp_path):
    folder = tmp_path / "BigEarthNet-v1.0" / "S2A_x_20170617T1_0_0"
    folder.mkdir(parents=True)
    (folder / f"{folder.name}_labels_metadata.json").write_text('{"labels": ["Pastures"]}')
    path = tmp_path / "s1_s2_name_country_season.csv.bz2"
    path.write_bytes(bz2.compress(f"s1_name,s2_name,country,season\nS1A_y,{folder.name},Kosovo,Summer\n".encode()))
    assert dict(report_archive(tmp_path, tmp_path / "out", metadata=path).countries) == {"Kosovo": 1}
    path.write_bytes(bz2.compress(b"s1_name,s2_name\nS1A_y,S2A_x\n"))
    with pytest.raises(ValueError, match="columns are s1_name, s2_name, but s2_name and country are needed"):
        report_archive(tmp_path, tmp_path / "out", metadata=path)


def test_unreadable_labels_are_listed(tmp_path):
    folder = tmp_path / "BigEarthNet-v1.0"
    for name, text in (
        ("S2A_x_20170617T1_0_0", '{"labels": ["Pastures"]}'),
        ("S2A_x_20170617T1_0_1", "{"),
        ("S2A_undated", '{"labels": []}'),
        ("S2A_x_20170617T1_0_2", '{"labels": ["Lava"]}'),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}_labels_metadata.json").write_text(text)
    counts = report_archive(tmp_path, tmp_path / "out")
    assert counts.images == 2 and dict(counts.countries) == {"unknown": 2}
    assert dict(counts.dates) == {"2017-06-17": 1, "": 1} and counts.seasons["summer"] == 1
    assert len(counts.problems) == 2 and "patch S2A_x_20170617T1_0_1" in counts.problems[0]
    assert "patch S2A_x_20170617T1_0_2: 'Lava' is not a label" in counts.problems[1]
    assert json.loads((tmp_path / "out" / "totals.json").read_text())["problems"] == counts.problems


def test_jobs_that_share_the_work_write_what_one_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(rsseg.datasets.bigearthnet.shares, "_CHUNK", 1)
    place = {"coordinates": {"ulx": 643200, "uly": 5798040}, "projection": ZONE.format(29)}
    for i, text in enumerate((json.dumps({"labels": ["Pastures"], **place}), "{", '{"labels": ["Lava"]}')):
        name = f"S2A_x_20170617T1_0_{i}"
        (tmp_path / "BigEarthNet-v1.0" / name).mkdir(parents=True)
        (tmp_path / "BigEarthNet-v1.0" / name / f"{name}_labels_metadata.json").write_text(text)
    alone = report_archive(tmp_path, tmp_path / "alone")
    assert report_archive(tmp_path, tmp_path / "shared", shard=Shard(1, 2, True)).images == 0
    assert not (tmp_path / "shared" / "totals.json").exists()
    shared = report_archive(tmp_path, tmp_path / "shared", shard=Shard(0, 2, True))
    assert shared == alone and len(shared.problems) == 2 and dict(shared.countries) == {"Ireland": 1}
    files = sorted(path.relative_to(tmp_path / "alone") for path in (tmp_path / "alone").rglob("*") if path.is_file())
    assert len(files) > 6
    for name in files:
        assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "shared" / name).read_bytes(), name
    with pytest.raises(ValueError, match="v2 has tables"):
        report_archive(tmp_path, tmp_path / "shared", "v2", shard=Shard(0, 2))


@pytest.mark.parametrize(("said", "country"), [({}, "Ireland"), ({"projection": None}, "unknown")])
@pytest.mark.parametrize("date", [20170617, "17.06.2017", None, "2017-6-17 9:30"])
def test_odd_dates_and_places(tmp_path, date, said, country):
    name = "S2B_MSIL2A_20170924T93020_41_73"  # without the zero of its hour, as one of the archive's is
    about = {"labels": ["Pastures"], "coordinates": {"ulx": 643200, "uly": 5798040}, "acquisition_date": date}
    folder = tmp_path / "BigEarthNet-v1.0" / name
    folder.mkdir(parents=True)
    (folder / f"{name}_labels_metadata.json").write_text(json.dumps({**about, "projection": ZONE.format(29), **said}))
    (info,) = read_infos(tmp_path, "v1")
    counts = count_archive([info])
    assert dict(counts.dates) == {"2017-09-24": 1} and counts.seasons["autumn"] == 1  # by its name
    assert dict(counts.countries) == {country: 1}
    assert dict(count_archive([replace(info, projection="no system")]).countries) == {"unknown": 1}


def test_v2_by_its_tables(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    name = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_{}"
    row = {"patch_id": name.format(1), "labels": ["Pastures"], "country": "Austria", "s2v1_name": "S2A_x_1"}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "metadata.parquet")
    snow = {**row, "patch_id": name.format(2), "contains_seasonal_snow": True, "country": "Finland"}
    path = tmp_path / "metadata_for_patches_with_snow_cloud_or_shadow.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([snow]), path)
    counts = report_archive(tmp_path, tmp_path / "out", "v2")
    assert dict(counts.countries) == {"Austria": 1, "Finland": 1}
    assert {row["labels"] for row in _table(tmp_path / "out" / "classes.csv")} == {"nineteen"}
    assert _table(tmp_path / "out" / "dates.csv") == [{"date": "2017-06-13", "season": "summer", "images": "2"}]
