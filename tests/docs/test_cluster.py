"""Recipes for clusters: manifests are YAML and JSON, scripts are bash, and the commands in them exist."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rsseg.cli import command_parser
from rsseg.io.shards import read_shard

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "cluster.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def _values(node: Any, key: str) -> Iterator[Any]:
    """What a key has in a document, wherever it is."""
    if isinstance(node, dict):
        yield from ([node[key]] if key in node else [])
        node = list(node.values())
    for each in node if isinstance(node, list) else ():
        yield from _values(each, key)


def _options(words: list[str]) -> Any:
    assert words[:2] == ["rsseg", "map"]
    return command_parser("map").parse_args(words[2:])


@pytest.fixture
def documents() -> dict[str, Any]:
    return {found["kind"]: found for text in _blocks("yaml") for found in yaml.safe_load_all(text)}


def test_the_indexed_job(documents: dict[str, Any]) -> None:
    job = documents["Job"]
    assert job["apiVersion"] == "batch/v1" and job["spec"]["completionMode"] == "Indexed"
    (command,) = _values(job, "command")
    shard = _options([word.replace("$(JOB_COMPLETION_INDEX)", "0") for word in command]).shard
    assert read_shard(shard)[:2] == (0, job["spec"]["completions"])
    mounted = {each["name"] for mounts in _values(job, "volumeMounts") for each in mounts}
    assert mounted == {each["name"] for volumes in _values(job, "volumes") for each in volumes}


def test_the_ray_job(documents: dict[str, Any]) -> None:
    job = documents["RayJob"]
    assert _options(shlex.split(job["spec"]["entrypoint"])).launcher == "ray"
    cluster = job["spec"]["rayClusterSpec"]
    (group,) = cluster["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert group["template"]["spec"] == cluster["headGroupSpec"]["template"]["spec"]


def test_the_array_of_aws_batch() -> None:
    (text,) = (block for block in _blocks("bash") if block.startswith("aws "))
    words = shlex.split(text.replace("\\\n", " "))
    shell = json.loads(words[words.index("--container-overrides") + 1].replace("\n", " "))["command"]
    shard = _options(shlex.split(shell[2].replace("$AWS_BATCH_JOB_ARRAY_INDEX", "199"))).shard
    assert words[words.index("--array-properties") + 1] == f"size={read_shard(shard).world}"


def test_scripts_are_bash_whose_commands_exist() -> None:
    scripts = [block for block in _blocks("bash") if block.startswith("#!/bin/bash\n#SBATCH")]
    assert len(scripts) == 2
    for script in scripts:
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (command,) = re.findall(r"^rsseg (?:.*\\\n)*.*$", script, re.MULTILINE)
        words = shlex.split(command.replace("\\\n", " "))
        options = _options([word.replace("$SLURM_ARRAY_TASK_ID", "199") for word in words])
        array = re.search(r"--array=0-(\d+)", script)  # the command has their number, so that parts can be repeated
        expected = (None, "ray") if array is None else (f"199/{int(array[1]) + 1}", "none")
        assert (options.shard, options.launcher) == expected
