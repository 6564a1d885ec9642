"""Every leaf config: parses, explains itself, names only what exists, builds, and fits its class table."""

import ast
import copy
import functools
import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mmengine.registry
import mmpretrain.registry
import mmseg.registry
import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope

from rsseg.cli import command_parser
from rsseg.conversion.settings import Settings
from rsseg.datasets.bigearthnet.corine import load_label_set
from rsseg.evaluation.complexity import build_for_counting, count_parameters, prepare_model
from rsseg.experiments.grid import read_grid, tool_of
from rsseg.io.pipelines import inference_pipeline
from rsseg.metainfo import base_table, load_metainfo

Every = Callable[..., None]
REPO = Path(__file__).resolve().parents[2]
CONFIGS = REPO / "configs"
FILES = sorted(CONFIGS.rglob("*.py"))
LEAVES = [path for path in FILES if "_base_" not in path.parts]
CONVERSIONS = [path for path in LEAVES if path.stem.startswith("convert")]
GRIDS = [path for path in LEAVES if path.parent.name == "grids"]
EXPERIMENTS = [path for path in LEAVES if path not in CONVERSIONS and path not in GRIDS]
MASK_MODELS = [path for path in EXPERIMENTS if path.stem.startswith("boxmask")]
WITH_LABELS = [path for path in EXPERIMENTS if path.parent.name not in ("mae", "dino") and path not in MASK_MODELS]
ROWS = [path for path in WITH_LABELS if re.search(r"\btable [349]\b", path.read_text(encoding="utf-8"))]
# Keys of mmengine that hold a `type` which is a plain word, not a registered name.
PLAIN_TYPES = {"epoch", "iter", "step"}


def _name(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def _walk(node: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every dict in a config, with the dotted place where it stands."""
    if isinstance(node, dict):
        yield where, node
        for key, value in node.items():
            yield from _walk(value, f"{where}.{key}")
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _walk(value, f"{where}[{i}]")


@functools.cache
def _file(*options: Any, **named: Any) -> tuple[Any, ...]:
    return _FILE(*options, **named)


_FILE = Config._file2dict


def _file_once(*options: Any, **named: Any) -> tuple[Any, ...]:
    """As mmengine reads a file with all that it inherits; a file that many inherit is read once."""
    return copy.deepcopy(_file(*options, **named))


@functools.cache
def _read(path: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, "_file2dict", staticmethod(_file_once))
        return Config.fromfile(_name(path)).to_dict()


def _load(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A config as plain dicts, read from the repository root as the commands do; imports what it asks for."""
    monkeypatch.chdir(REPO)
    config = copy.deepcopy(_read(path))
    init_default_scope(config.get("default_scope", "mmseg"))
    return config


def _bases(path: Path) -> list[Path]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_base_":
            value = ast.literal_eval(node.value)
            return [(path.parent / name).resolve() for name in ([value] if isinstance(value, str) else value)]
    return []


def _depth(path: Path) -> int:
    return max((1 + _depth(base) for base in _bases(path)), default=0)


def _registries() -> list[Registry]:
    found = [v for m in (mmengine.registry, mmseg.registry, mmpretrain.registry) for v in vars(m).values()]
    return [registry for registry in found if isinstance(registry, Registry)]


@functools.cache
def _modules(name: str, scope: str) -> frozenset[str]:
    """Modules of what registries know by a name where ``scope`` is the default scope, as it is; none if none does."""
    found = [registry.get(name) for registry in _registries()]
    return frozenset(own.__module__ for own in found if own)


@functools.cache
def _imported_on_request() -> set[str]:
    """Modules that only configs get which import them by name."""
    runtimes = (CONFIGS / "_base_").glob("default_runtime*.py")
    return {module for path in runtimes for module in _read(path)["custom_imports"]["imports"]}


def _class_counts(dataset: dict[str, Any]) -> dict[str, int]:
    """Number of classes of every set in a (nested) dataset config, by the name of the set."""
    counts: dict[str, int] = {}
    for _, node in _walk(dataset):
        if "table" in node:
            counts[node.get("name") or Path(base_table(node["table"])).stem] = load_metainfo(node["table"]).num_classes
        elif node.get("type") == "BigEarthNet":
            counts["BigEarthNet"] = len(load_label_set(node.get("labels", "level3")).classes)
        elif str(node.get("type", "")).endswith("Dataset") and not {"datasets", "dataset", "source"} & set(node):
            metainfo = mmseg.registry.DATASETS.get(node["type"]).METAINFO
            counts[node["type"]] = len(metainfo["classes"])
    return counts


def test_there_is_something_to_check() -> None:
    assert len(EXPERIMENTS) >= 3
    assert len(ROWS) >= 28 + 14 + 14  # of tables 3, 4 and 9
    assert CONVERSIONS


def test_file_name_is_an_identifier(every: Every) -> None:
    def check(path: Path) -> None:
        assert path.stem.isidentifier()
        assert all(part.isidentifier() for part in path.relative_to(CONFIGS).parts[:-1])

    every(FILES, check)


def test_base_names_are_unique() -> None:
    """mim looks a config up by its base name, in all of the package; model names of the index are these names."""
    everything = [*FILES, *(path for folder in ("rsseg", "tools") for path in (REPO / folder).rglob("*.py"))]
    names = Counter(path.name for path in everything)
    assert not [path for path in LEAVES if names[path.name] > 1]
    assert not [name for name, count in Counter(path.name for path in FILES).items() if count > 1]


def test_leaf_says_how_to_run_it(every: Every) -> None:
    def check(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40
        docstring = ast.get_docstring(ast.parse(text))
        assert docstring, "a leaf opens with a docstring: what, paper and table, command, expected result, cost"
        assert re.search(r"python tools/\w+\.py|tools/dist_\w+\.sh", docstring), "no command in the docstring"
        assert _name(path) in docstring, "the command names another file"
        assert not re.search(r"MEASURED|TBD|TODO|FIXME|XXX", docstring), "a placeholder is no expected result"
        for mentioned in re.findall(r"configs/[\w/]+\.py", docstring):
            assert (REPO / mentioned).is_file(), f"{mentioned} does not exist"

    every(LEAVES, check)


def test_inheritance_is_shallow(every: Every) -> None:
    def check(path: Path) -> None:
        assert all(base.is_file() for base in _bases(path))
        assert _depth(path) <= 3

    every(LEAVES, check)


def test_model_bases_know_no_classes(every: Every) -> None:
    def check(path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert "num_classes" not in {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}

    every(sorted((CONFIGS / "_base_" / "models").glob("*.py")), check)


def test_dataset_bases_are_short(every: Every) -> None:
    def check(path: Path) -> None:
        assert path.stem.startswith("_") or len(path.read_text(encoding="utf-8").splitlines()) <= 20

    every(sorted((CONFIGS / "_base_" / "datasets").glob("*.py")), check)


@pytest.mark.slow
def test_paths_are_relative_and_explained(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        layouts = (REPO / "data" / "README.md").read_text(encoding="utf-8")
        for where, node in _walk(_load(path, monkeypatch)):
            for key, value in node.items():
                if key == "data_root" and value is not None:
                    assert value.startswith("data/"), f"{where}.{key} = {value!r}"
                if isinstance(value, str) and value.startswith("data/"):
                    folder = "/".join(value.split("/")[:2]) + "/"
                    assert folder in layouts, f"{where}.{key}: data/README.md does not say what {folder} holds"
                assert not (isinstance(value, str) and value.startswith(("/", "~"))), f"{where}.{key} = {value!r}"
                assert key != "reduce_zero_label" or not value, f"{where}: what a value means stands in the class table"

    every(LEAVES, check)


@pytest.mark.slow
def test_every_type_resolves(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        config = _load(path, monkeypatch)
        names = {node["type"]: where for where, node in _walk(config) if isinstance(node.get("type"), str)}
        scope = config.get("default_scope", "mmseg")
        missing = {
            name: where for name, where in names.items() if name not in PLAIN_TYPES and not _modules(name, scope)
        }
        assert not missing, f"not registered: {missing}"
        modules = {module for name in names for module in _modules(name, scope)} & _imported_on_request()
        assert modules <= set(config.get("custom_imports", {}).get("imports", ())), f"not imported: {modules}"

    every(LEAVES, check)


@pytest.mark.slow
def test_heads_fit_the_class_tables(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        config = _load(path, monkeypatch)
        counts = _class_counts((config["train_dataloader"] or config["test_dataloader"])["dataset"])
        assert counts, "the training set names no class table"
        model = config["model"]
        if "heads" in model:
            assert model["heads"] == counts
            return
        if "vocabulary" in model:  # the sets for tests have vocabularies of their own
            assert {load_metainfo(model["vocabulary"]).num_classes} == set(counts.values())
            return
        heads = [node["num_classes"] for _, node in _walk(model) if "num_classes" in node]
        assert heads, "no head says how many classes it has"
        assert set(heads) == set(counts.values())
        for split in ("val_dataloader", "test_dataloader"):
            if config.get(split):
                assert set(_class_counts(config[split]["dataset"]).values()) == set(heads), split

    every(WITH_LABELS, check)


@pytest.mark.slow
def test_models_statistics_and_sets_have_the_same_bands(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        config = _load(path, monkeypatch)
        parts = [config[key] for key in config if key.endswith("dataloader")]
        parts.append(config.get("data_preprocessor") or config["model"]["data_preprocessor"])
        bands = {tuple(node["bands"]) for _, node in _walk(parts) if "bands" in node}
        assert len(bands) == 1, "data preprocessor and sets name different bands"
        backbone = config["model"]["backbone"]
        assert len(bands.pop()) == backbone.get("in_channels", 3)

    every([path for path in EXPERIMENTS if path.parent.name == "bigearthnet"], check)


@pytest.mark.slow
def test_proportional_batches_have_the_loaders_size(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        loader = _load(path, monkeypatch)["train_dataloader"]
        if loader is None:  # a model that is not trained
            return
        if loader["sampler"]["type"].endswith("ProportionalSampler"):
            assert "batch_size" not in loader["sampler"]
            assert loader["batch_sampler"]["type"].endswith("ProportionalBatches")

    every(EXPERIMENTS, check)


@pytest.mark.slow
def test_tools_and_apis_of_others_find_what_they_look_for(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        config = _load(path, monkeypatch)
        pipelines = [config["tta_pipeline"], config["test_dataloader"]["dataset"]["pipeline"]]  # tools/test.py --tta
        assert config["tta_model"]["type"]
        for test_set in (True, False):
            steps = inference_pipeline(config, test_set)
            assert steps, "MMSegInferencer and inference_model have no pipeline"
            pipelines.append(steps)
        registry = (mmseg if config["default_scope"] == "mmseg" else mmpretrain).registry.TRANSFORMS
        for pipeline in pipelines:
            for _, step in _walk(pipeline):
                assert "type" not in step or registry.get(step["type"]), step["type"]
        hook = mmseg.registry.HOOKS.get(config["default_hooks"]["visualization"]["type"].removeprefix("mmseg."))
        for tool in ("draw", "show", "wait_time", "enable", "out_dir", "interval"):  # what --show-dir sets
            assert tool in inspect.signature(hook).parameters
        assert config["visualizer"]["type"]
        assert config["test_evaluator"] and config["test_cfg"]

    every(WITH_LABELS, check)


@functools.cache
def _parameters(model: str) -> int:
    """Number of parameters of a model, given its config as JSON."""
    return count_parameters(build_for_counting(json.loads(model)))


@pytest.mark.slow
def test_model_builds(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        model = _load(path, monkeypatch)["model"]
        prepare_model(model)
        if path.parent.name != "mae" and path not in MASK_MODELS:  # as mmseg's init_model does
            model |= dict(pretrained=None, train_cfg=None)
        assert _parameters(json.dumps(model)) > 0

    every(EXPERIMENTS, check)


def _without_start(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in ("init_cfg", "num_classes")}


@pytest.mark.slow
def test_a_start_from_sep_names_what_sep_writes(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        config = _load(path, monkeypatch)
        starts = [hook for hook in config["default_hooks"].values() if hook["type"] == "LoadPretrained"]
        assert len(starts) == ("_from_sep" in path.stem)
        for start in starts:
            found = re.fullmatch(r"work_dirs/samrs/(\w+)/iter_80000\.pth", start["checkpoint"])
            assert found
            pre_trained = _load(CONFIGS / "samrs" / f"{found[1]}.py", monkeypatch)
            assert pre_trained["train_cfg"]["max_iters"] == 80000
            assert config["model"]["backbone"]["init_cfg"] is None
            for part in ("backbone", "decode_head"):
                own, before = (_without_start(model[part]) for model in (config["model"], pre_trained["model"]))
                assert own == before

    every(ROWS, check)


def test_the_model_index_is_complete() -> None:
    index = yaml.safe_load((REPO / "model-index.yml").read_text(encoding="utf-8"))
    files = [REPO / name for name in index["Import"]]
    assert files == sorted({path.parent / "metafile.yaml" for path in EXPERIMENTS})
    parts = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in files]
    collections = [collection["Name"] for part in parts for collection in part.get("Collections", [])]
    models = [model for part in parts for model in part["Models"]]
    assert sorted(model["Config"] for model in models) == sorted(_name(path) for path in EXPERIMENTS)
    for model in models:
        assert model["Name"] == Path(model["Config"]).stem
        assert collections.count(model["In Collection"]) == 1


def test_grids_are_complete(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    """At full size and at the scale of a CPU: every run has a config that is there, and options that fit it."""

    def check(path: Path) -> None:
        monkeypatch.chdir(REPO)
        for tiny in (False, True):
            grid = read_grid(_name(path), tiny)
            starts, cells = list(grid.starts().values()), grid.cells()
            assert len({cell.folder for cell in cells}) == len(cells)
            assert {name for cell in cells for name in cell.needs} == set(grid.starts())
            for config, options in {(cell.config, cell.options[:-1]) for cell in (*starts, *cells)}:
                assert (REPO / config).is_file() and not re.search(r"[{}]", config), config
                if grid.task != "ablate":
                    parts = copy.deepcopy(_read(REPO / config))
                    for option in options:
                        _follow(parts, option.partition("=")[0].split("."), f"{config}: {option}")
            for line in grid.prepare:
                name, words = tool_of(line)
                command_parser(name).parse_args(words)

    every(GRIDS, check)


def _follow(node: Any, keys: list[str], option: str) -> None:
    """See that all but the last of an option's keys lead somewhere."""
    for key in keys[:-1]:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
        assert isinstance(node, dict | list), option


def test_conversion_is_complete(every: Every, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(path: Path) -> None:
        settings = Settings.from_config(_load(path, monkeypatch))
        assert settings.table.num_classes > 0
        for place in (settings.out_dir, settings.source.images, settings.source.annotations):
            assert place.startswith("data/")
        assert settings.predictor_config["type"]

    every(CONVERSIONS, check)
