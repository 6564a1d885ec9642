"""OpenEarthMap: its regions, the forms of its lists, and what is said of files that are not there."""

from __future__ import annotations

from collections import Counter

import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS

from rsseg.datasets import OpenEarthMapDataset
from rsseg.datasets.openearthmap import new_split
from rsseg.datasets.openearthmap.regions import CONTINENTS, load_regions, region_of

pytestmark = pytest.mark.usefixtures("mmseg_scope")
LOAD = [dict(type="LoadImage"), dict(type="LoadLabels")]


def open_set(root, **options):
    return OpenEarthMapDataset("openearthmap", data_root=str(root), pipeline=LOAD, **options)


def stems(data):
    return [row["img_path"].rpartition("/")[2] for row in (data.get_data_info(i) for i in range(len(data)))]


def test_regions_by_hand():
    regions = load_regions()
    assert len(regions) == 97
    assert sum(region.images for region in regions.values()) == 5000
    counted = Counter(region.continent for region in regions.values())
    assert counted == {"EU": 26, "AS": 14, "AF": 16, "NA": 21, "SA": 16, "OC": 4}
    assert set(counted) == set(CONTINENTS)
    assert Counter(region.domain for region in regions.values()) == {"source": 73, "target": 24}
    assert sum(region.images_from_xbd for region in regions.values()) == 22
    assert {name for name, region in regions.items() if not region.certain} == {"svaneti", "western", "leilane_estates"}


@pytest.mark.parametrize(
    "name", ["al_qurnah_5.tif", "al_qurnah_5", "al_qurnah/al_qurnah_5", "x/al_qurnah/images/al_qurnah_5.tif"]
)
def test_a_name_says_its_region(name):
    assert region_of(name) == "al_qurnah"


@pytest.mark.parametrize("name", ["aachen.tif", "_5", "aachen_x.tif"])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="is not an image of OpenEarthMap"):
        region_of(name)


def test_the_real_lists_agree_with_the_regions(samples):
    lists = samples / "openearthmap" / "lists"
    names = {part: (lists / f"{part}.txt").read_text().split() for part in ("train", "val", "test")}
    counted = Counter(region_of(name) for part in names.values() for name in part)
    assert counted == {name: region.images for name, region in load_regions().items()}
    for part, domain in (("target_train", "target"), ("target_val", "target"), ("source", "source")):
        found = {region_of(name) for name in (lists / f"{part}.txt").read_text().split()}
        assert found == {name for name, region in load_regions().items() if region.domain == domain}


@pytest.mark.parametrize("form", ["{0}.tif", "{0}", "al_qurnah/{0}"])
def test_every_form_of_list_is_read(tmp_path, write_image, form):
    write_image(tmp_path, "al_qurnah_5")
    (tmp_path / "list.txt").write_bytes(f"\ufeff{form.format('al_qurnah_5')}\r\n\r\n".encode())
    data = open_set(tmp_path, ann_file="list.txt")
    assert stems(data) == ["al_qurnah_5.tif"]
    assert int(data[0]["gt_seg_map"].min()) == 7


def test_without_a_list_every_labelled_image_counts(tmp_path, write_image):
    for name in ("aachen_2", "aachen_10", "kyoto_1"):
        write_image(tmp_path, name)
    write_image(tmp_path, "kyoto_2", labelled=False)
    write_image(tmp_path, "houston_1", image=False)
    assert stems(open_set(tmp_path)) == ["aachen_10.tif", "aachen_2.tif", "kyoto_1.tif"]
    (tmp_path / "some.txt").write_text("kyoto_1\naachen_2\n")
    assert stems(open_set(tmp_path, subset=str(tmp_path / "some.txt"))) == ["kyoto_1.tif", "aachen_2.tif"]
    found = stems(open_set(tmp_path, labels=False))
    assert found == ["aachen_10.tif", "aachen_2.tif", "kyoto_1.tif", "kyoto_2.tif"]


def test_a_subset_is_explained_as_the_lists_are(tmp_path, write_image):
    write_image(tmp_path, "aachen_1")
    write_image(tmp_path, "houston_1", image=False)
    write_image(tmp_path, "kyoto_1", labelled=False)
    listing = tmp_path / "target.txt"
    listing.write_text("kyoto/kyoto_1\naachen_1.tif\n")  # as the authors published it, and as the release
    assert stems(open_set(tmp_path, subset=str(listing), labels=False)) == ["kyoto_1.tif", "aachen_1.tif"]
    with pytest.raises(FileNotFoundError, match="Labels of the official test list are not public"):
        open_set(tmp_path, subset=str(listing))
    listing.write_text("aachen_1\nhouston_1\n")
    with pytest.raises(FileNotFoundError, match="1 of them are images of xBD"):
        open_set(tmp_path, subset=str(listing))
    (tmp_path / "train.txt").write_text("aachen_1.tif\n")
    with pytest.raises(ValueError, match=r"match no image \(first: 'houston_1'\); image names look like 'aachen_1'"):
        open_set(tmp_path, ann_file="train.txt", subset=str(listing))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt: no such file; .*rsseg split-openearthmap"):
        open_set(tmp_path, subset=str(tmp_path / "nowhere.txt"))


def test_missing_files_are_explained(tmp_path, write_image):
    write_image(tmp_path, "aachen_1")
    write_image(tmp_path, "houston_1", image=False)
    write_image(tmp_path, "kyoto_1", labelled=False)
    (tmp_path / "train.txt").write_text("aachen_1.tif\nhouston_1.tif\nkyoto_1.tif\n")
    with pytest.raises(FileNotFoundError) as caught:
        open_set(tmp_path, ann_file="train.txt")
    text = str(caught.value)
    assert "houston/images/houston_1.tif is listed but missing, as are 1 other files" in text
    assert "1 of them are images of xBD" in text and "rsseg fill-xbd" in text and "--available" in text
    assert text.endswith("Labels of the official test list are not public")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.txt: no such file; expected a text file"):
        open_set(tmp_path, ann_file="nowhere.txt")
    with pytest.raises(FileNotFoundError, match=r"no images in .*with a label beside it"):
        open_set(tmp_path / "kyoto")


def test_withheld_labels_are_not_asked_for(tmp_path, write_image):
    write_image(tmp_path, "kyoto_1", labelled=False)
    (tmp_path / "test.txt").write_text("kyoto_1.tif\n")
    data = open_set(tmp_path, ann_file="test.txt", labels=False)
    sample = data[0]
    assert sample["img"].shape == (4, 6, 3) and "gt_seg_map" not in sample
    with pytest.raises(FileNotFoundError, match="Labels of the official test list are not public"):
        open_set(tmp_path, ann_file="test.txt")


@pytest.mark.parametrize("name", ["openearthmap_regional", "openearthmap_continents"])
def test_adaptation_configs_read_the_lists_that_are_written(tmp_path, write_image, repo, monkeypatch, name):
    root = tmp_path / "data" / "openearthmap"
    for region in ("aachen", "kyoto", "houston", "chicago"):
        for n in range(1, 11):
            write_image(root, f"{region}_{n}", value=1 + n % 2)
    monkeypatch.chdir(tmp_path)
    new_split(root, "data/splits/openearthmap", trials=10)
    config = Config.fromfile(repo / "configs" / "_base_" / "datasets" / f"{name}.py")
    sizes = {}
    for split in ("train", "val", "test"):
        data = DATASETS.build(config[f"{split}_dataloader"]["dataset"])
        sizes[split] = len(data), {region_of(image) for image in stems(data)}
    regional = {"train": (12, {"aachen", "houston"}), "val": (2, {"kyoto", "chicago"})}
    continents = {"train": (6, {"aachen"}), "val": (2, {"houston", "chicago"})}
    expected = regional if name.endswith("regional") else continents
    assert sizes == {**expected, "test": expected["val"]}
