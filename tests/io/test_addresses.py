"""Addresses of rasters: what GDAL opens, what is shown, and what maps are called."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from rsseg.errors import UnreadableFileError
from rsseg.io.addresses import Address, hide_secrets, is_address, is_text_name, locate
from rsseg.io.rasters import open_dataset


@pytest.mark.parametrize(
    "address, gdal, name",
    [
        ("https://h.org/a/b%20c.tif", "/vsicurl/https://h.org/a/b%20c.tif", "b c"),
        ("s3://bucket/x/y.tif", "/vsis3/bucket/x/y.tif", "y"),
        ("s3a://bucket/x/y.tif", "/vsis3/bucket/x/y.tif", "y"),
        ("gs://bucket/y.jp2", "/vsigs/bucket/y.jp2", "y"),
        ("az://container/y.tif", "/vsiaz/container/y.tif", "y"),
        ("/vsizip/a.zip/in/b.tif", "/vsizip/a.zip/in/b.tif", "b"),
        ("GTI:/a/tiles.gpkg", "GTI:/a/tiles.gpkg", "tiles"),
        ("https://h/mosaic.gti.gpkg", "/vsicurl/https://h/mosaic.gti.gpkg", "mosaic"),
        ('NETCDF:"/d/a.nc":var', 'NETCDF:"/d/a.nc":var', "a_var"),
        ('ZARR:"/vsicurl/https://h/x.zarr":/B04', 'ZARR:"/vsicurl/https://h/x.zarr":/B04', "x_B04"),
        ("WMTS:https://h/wmts?SERVICE=WMTS,layer=ortho", "WMTS:https://h/wmts?SERVICE=WMTS,layer=ortho", "ortho"),
    ],
)
def test_names_of_gdal(address: str, gdal: str, name: str) -> None:
    found = locate(address)
    assert isinstance(found, Address) and (found.gdal, found.name) == (gdal, name)


@pytest.mark.parametrize(
    "address, shown",
    [
        ("https://user:word@h.org/a.tif", "https://h.org/a.tif"),
        ("https://h/a.tif?X-Amz-Signature=ab&X-Amz-Credential=c%2F,d=", "https://h/a.tif"),
        ("https://h/a.tif?sv=2024&sig=ab,cd&bbox=1,2,3,4", "https://h/a.tif?bbox=1,2,3,4"),
        ("https://h/a.tif?token", "https://h/a.tif"),
        ("https://h/a b.tif?sig=c d", "https://h/a%20b.tif"),
        ("https://h/a.tif?time=1;sig=c", "https://h/a.tif?time=1"),
        ("https://h/a.tif#access_token=c", "https://h/a.tif"),
        ("https://u:p/a?b#c@h/a.tif", "https://h/a.tif"),
        ("https://u:p@[::1]:80/a.tif", "https://[::1]:80/a.tif"),
        ("https://h:80/a@b.tif?c=", "https://h:80/a@b.tif"),
        ("https://h/cog?url=https%3A%2F%2Fu%3Ap%40i%2Fa.tif%3Fsig%3Dz", "https://h/cog?url=https://i/a.tif"),
        ("https://h/cog/https://u:p@i/a.tif", "https://h/cog/https://i/a.tif"),
        ("/vsicurl?header.Authorization=Bearer%20z&url=https%3A%2F%2Fh%2Fa.tif", "/vsicurl?url=https://h/a.tif"),
        ("PG:host=h user=u password='p q' dbname=d", "PG:host=h   dbname=d"),
        ("WMTS:https://h/wmts?apikey=s,layer=ortho", "WMTS:https://h/wmts,layer=ortho"),
        ("/vsicurl?pc_url_signing=yes&url=https%3A%2F%2Fh%2Fq.tif%3Fsig%3Dz",
         "/vsicurl?pc_url_signing=yes&url=https://h/q.tif"),
        ("/vsizip//vsicurl/https://u:p@h/a.zip/b.tif", "/vsizip//vsicurl/https://h/a.zip/b.tif"),
    ],
)  # fmt: skip
def test_what_gives_access_is_not_shown(address: str, shown: str) -> None:
    found = locate(address)
    assert isinstance(found, Address)
    again = pickle.loads(pickle.dumps(found))
    for one in (found, again):
        assert (str(one), f"{one}", "".join([one])) == (shown,) * 3 and one.gdal != str(one)
    assert hide_secrets(f"GDAL says {address}: 403").startswith("GDAL says ") or address.startswith("/vsicurl?")


def test_files_are_no_addresses(tmp_path: Path) -> None:
    (tmp_path / "a:b.tif").touch()
    for path in (str(tmp_path / "a:b.tif"), "C:\\data\\a.tif", "data/a.tif", "a b.tif"):
        assert not is_address(path) and locate(path) == path
    assert locate("file:///data/a%20b.tif") == "/data/a b.tif"
    assert is_text_name("a.vrt") and is_text_name("a.gti.fgb") and not is_text_name("a.gpkg")


def test_a_text_in_the_place_of_an_image_is_refused_in_archives_too(tmp_path: Path) -> None:
    import zipfile

    text = ('<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
            "<SourceFilename>/etc/passwd</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>")  # fmt: skip
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("scene.tif", text)
        archive.writestr("scene.vrt", text)
    with pytest.raises(UnreadableFileError, match="not a raster that GDAL can open"):
        open_dataset(f"/vsizip/{tmp_path}/a.zip/scene.tif")
    open_dataset(f"/vsizip/{tmp_path}/a.zip/scene.vrt").close()  # its name says what it is
