"""Cut patches as BigEarthNet's from your own Sentinel-2 tile, and label them with CORINE Land Cover (paper, section 3).

rsseg cut-bigearthnet TILE OUT [--corine FILE] [--field Code_18] [--name S2A_MSIL2A_20170617T113321]

TILE is a SAFE folder, or a folder with a GeoTIFF of each band. FILE is CORINE's raster (.tif) or polygons (.gpkg,
.shp); a patch gets every class that it has a 10 m pixel of. Without FILE patches have no labels: rsseg test predicts
them with test_dataloader.dataset.labelled=False. OUT is a data_root of BigEarthNet v1.0, to which other tiles may be
added. Patches with missing pixels, or without a class, are left out. Repeat an interrupted command to
continue; with other files it stops, since patches that are there were made of the first ones.
"""

from __future__ import annotations

from pathlib import Path

from rsseg.commands import make_parser, write_result


def main() -> None:
    """Parse the arguments, cut."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("tile", type=Path, help="SAFE folder, or folder of the bands' GeoTIFFs")
    parser.add_argument("out", type=Path, help="folder of the new archive")
    parser.add_argument("--corine", type=Path, metavar="FILE", help="CORINE Land Cover as raster or polygons")
    parser.add_argument("--field", help="field of the polygons' codes (default: the one named like Code_18)")
    parser.add_argument("--name", help="how names of patches begin (default: as the tile's folder)")
    args = parser.parse_args()
    from rsseg.datasets.bigearthnet.corine_files import open_corine
    from rsseg.datasets.bigearthnet.cutting import cut_patches
    from rsseg.datasets.bigearthnet.tiles import find_tile

    tile = find_tile(args.tile, args.name)
    corine = open_corine(args.corine, tile.ground, args.field) if args.corine else None
    counts = {key: len(names) for key, names in vars(cut_patches(tile, args.out, corine)).items()}
    text = "{written} patches written, {present} were there, {incomplete} lack pixels, {unlabelled} have no class"
    write_result(text.format(**counts), counts)
