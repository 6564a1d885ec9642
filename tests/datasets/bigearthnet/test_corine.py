"""BigEarthNet's label sets, class by class, and the rough outlines of its countries."""

from __future__ import annotations

import numpy as np
import pytest

from rsseg.datasets.bigearthnet.band_table import band_statistics, load_bands
from rsseg.datasets.bigearthnet.corine import LABEL_SETS, load_label_set
from rsseg.datasets.bigearthnet.countries import countries_at
from rsseg.metainfo import load_metainfo

URBAN, INDUSTRY, MINES, GREEN = (
    "Urban fabric",
    "Industrial, commercial and transport units",
    "Mine, dump and construction sites",
    "Artificial, non-agricultural vegetated areas",
)
MIXED_FARMS, SHRUB = "Heterogeneous agricultural areas", "Shrub and/or herbaceous vegetation associations"
OPEN = "Open spaces with little or no vegetation"
LAND_PRINCIPALLY = "Land principally occupied by agriculture, with significant areas of natural vegetation"
GRASSLAND = "Natural grassland and sparsely vegetated areas"
MOORS = "Moors, heathland and sclerophyllous vegetation"
# Code, name, level 2, class of the 19; level 1 follows from the first digit.  Source: facts of the releases, by hand.
ROWS = [
    (111, "Continuous urban fabric", URBAN, "Urban fabric"),
    (112, "Discontinuous urban fabric", URBAN, "Urban fabric"),
    (121, "Industrial or commercial units", INDUSTRY, "Industrial or commercial units"),
    (122, "Road and rail networks and associated land", INDUSTRY, None),
    (123, "Port areas", INDUSTRY, None),
    (124, "Airports", INDUSTRY, None),
    (131, "Mineral extraction sites", MINES, None),
    (132, "Dump sites", MINES, None),
    (133, "Construction sites", MINES, None),
    (141, "Green urban areas", GREEN, None),
    (142, "Sport and leisure facilities", GREEN, None),
    (211, "Non-irrigated arable land", "Arable land", "Arable land"),
    (212, "Permanently irrigated land", "Arable land", "Arable land"),
    (213, "Rice fields", "Arable land", "Arable land"),
    (221, "Vineyards", "Permanent crops", "Permanent crops"),
    (222, "Fruit trees and berry plantations", "Permanent crops", "Permanent crops"),
    (223, "Olive groves", "Permanent crops", "Permanent crops"),
    (231, "Pastures", "Pastures", "Pastures"),
    (241, "Annual crops associated with permanent crops", MIXED_FARMS, "Permanent crops"),
    (242, "Complex cultivation patterns", MIXED_FARMS, "Complex cultivation patterns"),
    (243, LAND_PRINCIPALLY, MIXED_FARMS, LAND_PRINCIPALLY),
    (244, "Agro-forestry areas", MIXED_FARMS, "Agro-forestry areas"),
    (311, "Broad-leaved forest", "Forest", "Broad-leaved forest"),
    (312, "Coniferous forest", "Forest", "Coniferous forest"),
    (313, "Mixed forest", "Forest", "Mixed forest"),
    (321, "Natural grassland", SHRUB, GRASSLAND),
    (322, "Moors and heathland", SHRUB, MOORS),
    (323, "Sclerophyllous vegetation", SHRUB, MOORS),
    (324, "Transitional woodland/shrub", SHRUB, "Transitional woodland, shrub"),
    (331, "Beaches, dunes, sands", OPEN, "Beaches, dunes, sands"),
    (332, "Bare rock", OPEN, None),
    (333, "Sparsely vegetated areas", OPEN, GRASSLAND),
    (334, "Burnt areas", OPEN, None),
    (411, "Inland marshes", "Inland wetlands", "Inland wetlands"),
    (412, "Peatbogs", "Inland wetlands", "Inland wetlands"),
    (421, "Salt marshes", "Coastal wetlands", "Coastal wetlands"),
    (422, "Salines", "Coastal wetlands", "Coastal wetlands"),
    (423, "Intertidal flats", "Coastal wetlands", None),
    (511, "Water courses", "Inland waters", "Inland waters"),
    (512, "Water bodies", "Inland waters", "Inland waters"),
    (521, "Coastal lagoons", "Marine waters", "Marine waters"),
    (522, "Estuaries", "Marine waters", "Marine waters"),
    (523, "Sea and ocean", "Marine waters", "Marine waters"),
]
LEVEL1 = {
    1: "Artificial surfaces",
    2: "Agricultural areas",
    3: "Forest and seminatural areas",
    4: "Wetlands",
    5: "Water bodies",
}


@pytest.mark.parametrize(("code", "name", "level2", "nineteen"), ROWS, ids=[str(row[0]) for row in ROWS])
def test_every_class_in_every_set(code, name, level2, nineteen):
    expected = {"level3": name, "level2": level2, "level1": LEVEL1[code // 100], "nineteen": nineteen}
    for labels in LABEL_SETS:
        one = load_label_set(labels)
        found = [one.classes[i] for i in one.ids([name], "a patch")]
        assert found == ([] if expected[labels] is None else [expected[labels]])
        assert one.by_code.get(code) == (one.ids([name], "a patch") or [None])[0]


def test_sizes_and_orders():
    sizes = {name: len(load_label_set(name).classes) for name in LABEL_SETS}
    assert sizes == {"level3": 43, "level2": 15, "level1": 5, "nineteen": 19}
    assert len({row[0] for row in ROWS}) == 43
    assert load_label_set("level3").classes == load_metainfo("bigearthnet").classes
    assert load_label_set("nineteen").classes == load_metainfo("bigearthnet19").classes
    assert sum(row[3] is None for row in ROWS) == 11


def test_several_names_give_sorted_ids_once():
    names = ["Water bodies", "Continuous urban fabric", "Airports", "Discontinuous urban fabric"]
    assert load_label_set("nineteen").ids(names, "a patch") == [0, 17]
    assert load_label_set("level3").ids(names, "a patch") == [0, 1, 5, 39]
    assert load_label_set("nineteen").ids(["Marine waters", "Arable land"], "a patch") == [2, 18]
    with pytest.raises(ValueError, match=r"patch x: 'Lava' is not a label of nineteen; expected one of: Urban fabric"):
        load_label_set("nineteen").ids(["Lava"], "patch x")
    with pytest.raises(ValueError, match=r"unknown label set 'level4'; expected one of: level3, level2"):
        load_label_set("level4")


def test_codes_of_a_map():
    codes = np.array([[111, 112, 121], [122, 335, 999], [523, 995, 411]], np.uint16)
    expected = [[0, 0, 1], [255, 255, 255], [18, 255, 15]]
    assert load_label_set("nineteen").encode(codes, "map.tif").tolist() == expected
    assert load_label_set("level1").encode(codes, "map.tif").tolist() == [[0, 0, 0], [0, 255, 255], [4, 255, 3]]
    with pytest.raises(ValueError, match=r"map.tif: value 110 is not a CLC code; expected one of: \[111, 112"):
        load_label_set("nineteen").encode(np.array([[111, 110]], np.uint16), "map.tif")


def test_table_2_of_the_paper():
    import json

    from rsseg.metainfo import table_path

    rows = json.loads(table_path("bigearthnet").read_text(encoding="utf-8"))["categories"]
    images = {row["name"]: row["images"] for row in rows}
    assert (images["Mixed forest"], images["Peatbogs"], images["Burnt areas"]) == (217119, 23207, 328)
    assert max(images.values()) == 217119 and min(images.values()) == 328


def test_bands():
    bands = load_bands("v1")
    assert list(bands) == [
        "B01",
        "B02",
        "B03",
        "B04",
        "B05",
        "B06",
        "B07",
        "B08",
        "B8A",
        "B09",
        "B11",
        "B12",
        "VV",
        "VH",
    ]
    assert [band.side for band in bands.values()] == [20, 120, 120, 120, 60, 60, 60, 120, 60, 20, 60, 60, 120, 120]
    assert [name for name, band in bands.items() if band.radar] == ["VV", "VH"]
    assert band_statistics(["B12", "B02"]) == ([1009.3273, 429.943], [818.8675, 572.4164])
    assert band_statistics(["VV"], "v2") == ([-12.6439], [5.1335])
    with pytest.raises(ValueError, match="unknown band 'B10'; expected one of: B01"):
        band_statistics(["B10"])
    with pytest.raises(ValueError, match="unknown version 'v3' of BigEarthNet; expected one of: v1, v2"):
        load_bands("v3")


def test_countries():
    places = {  # capitals and towns near the borders between the ten
        "Austria": [(16.37, 48.21), (9.75, 47.41)],
        "Belgium": [(4.35, 50.85), (5.58, 49.84)],
        "Finland": [(24.94, 60.17)],
        "Ireland": [(-6.26, 53.35)],
        "Kosovo": [(21.17, 42.67)],
        "Lithuania": [(25.28, 54.69)],
        "Luxembourg": [(6.13, 49.61)],
        "Portugal": [(-9.14, 38.72), (-7.93, 37.02)],
        "Serbia": [(20.46, 44.82), (21.90, 43.32)],
        "Switzerland": [(7.45, 46.95), (9.53, 46.85), (8.63, 47.70)],
    }
    for country, points in places.items():
        assert countries_at(np.array(points)) == [country] * len(points)
