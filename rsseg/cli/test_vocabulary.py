"""Test an open-vocabulary model on FLAIR, FAST, Potsdam and FloodNet and print the row of GSNet's table 2 (mIoU).

rsseg test-vocabulary configs/landdiscover/gsnet_vitb16.py CHECKPOINT [--sets flair potsdam]
    [--data-root flair=/disks/flair] [--out work_dirs/table2.csv] [--cfg-options test_dataloader.batch_size=4 ...]
rsseg test-vocabulary CONFIG CHECKPOINT --benchmark ovrsis    # the eight sets of OVRSISBench's release

The model is asked for each set's classes, in the words of its class table.  OUT keeps a row for each config and
checkpoint; sets that are not there are named at the end, with exit status 1, and can follow later.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import make_parser, write_result
from rsseg.packaged import packaged_root
from rsseg.stack import require_stack


def main() -> int | str | None:
    """Parse the arguments, test on one set after another, print the row."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg import evaluation
    from rsseg.engine.launch import add_arguments, apply_arguments, build_runner, start_processes
    from rsseg.io.hub import weights_of

    parser = make_parser(__doc__, results=True)
    parser.add_argument("config", help="config file of the model")
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file; models that are not trained need none")
    parser.add_argument("--benchmark", choices=[*evaluation.BENCHMARKS], default="table2", help="(default: table2)")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="sets of the benchmark (default: all)")
    parser.add_argument("--data-root", nargs="+", default=[], metavar="SET=DIR", help="datasets outside of data/")
    parser.add_argument("--out", help="CSV of results (default: BENCHMARK.csv in the work dir)")
    parser.add_argument("--image-scores", metavar="DIR", help="folder for the scores of each image")
    add_arguments(parser)
    args = parser.parse_args()
    require_stack()
    from mmengine.dist import is_main_process

    args.checkpoint = weights_of(args.config, args.checkpoint)
    bases = packaged_root() / "configs" / "_base_" / "datasets"
    sets, scores = args.sets or list(evaluation.BENCHMARKS[args.benchmark]), {}
    configs = evaluation.vocabulary_configs(args.config, bases, sets, args.data_root, args.benchmark)
    for cfg in configs.values():
        apply_arguments(cfg, args)
        cfg.custom_hooks = [*cfg.get("custom_hooks", []), dict(type="LoadTested", checkpoint=args.checkpoint)]
    configs, error_summary = evaluation.check_sets(configs)
    start_processes(args.launcher)
    for name, cfg in configs.items():
        if args.image_scores:
            cfg.test_evaluator.images_dir = str(Path(args.image_scores) / name)
        scores[name] = build_runner(cfg).test()["mIoU"]
        if is_main_process():
            evaluation.gather_image_scores(args.image_scores, evaluation.BENCHMARKS[args.benchmark])
            out = args.out or Path(cfg.work_dir) / f"{args.benchmark}.csv"
            row = evaluation.keep_scores(out, args.config, args.checkpoint, scores, args.benchmark)
    if is_main_process():
        write_result(evaluation.score_table(Path(args.config).stem, row, args.benchmark), row)
    return error_summary
