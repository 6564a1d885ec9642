"""BigEarthNet v1.0 and v2.0: layout, labels, lists, bands from GeoTIFFs or one packed file."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "archive": ["PatchInfo", "find_patches", "read_infos", "season_of"],
        "bands": ["read_bands", "read_tif", "stack_bands"],
        "dataset": ["BigEarthNet", "LoadBands"],
        "lists": ["draw_split", "read_list", "split_names"],
        "lmdb_file": ["read_packed"],
        "maps": ["BigEarthNetMaps", "LoadReferenceMap", "read_reference_map"],
        "packed": ["pack_archive", "verify_packed"],
        "preprocessing": ["BandPreprocessor", "SegBandPreprocessor"],
    },
    registering=["dataset", "maps", "preprocessing"],
)
