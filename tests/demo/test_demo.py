"""The demo end to end, with a handful of scenes and two iterations; and how it reports, goes on and fails."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from rsseg.demo.plan import STAGES, TINY, Plan, Scale, Step
from rsseg.demo.processes import Command, Pool
from rsseg.demo.progress import Progress
from rsseg.errors import JobError


@pytest.mark.slow
@pytest.mark.stack
def test_the_whole_path(run_tool, tmp_path):
    done = run_tool("demo", "--tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    for number, stage in enumerate(STAGES, 1):
        assert f"[{number}/6] {stage}" in done.stderr
    rows = re.findall(r"from .*?, (\d) images +\|? *\d", done.stdout)
    assert rows == ["4", "4", "2", "2"]
    for text in ("source .venv/bin/activate", "rsseg map YOUR_RASTER.tif", "rsseg convert", "index.html"):
        assert text in done.stdout
    work = tmp_path / "work_dirs" / "demo"
    for name in ("index.html", "map/scene.tif", "map/scene.gpkg", "map/scene.html", "map/scene.qml"):
        assert (work / name).is_file(), name
    assert len(list((work / "pictures" / "landcover").glob("*.png"))) == 2
    assert all(list((work / "pictures" / f"labels_{name}").glob("*.png")) for name in ("sota", "sior", "fast"))
    assert "[1/6]" not in done.stdout, "results go to stdout, progress to stderr"
    before = {path: path.stat().st_mtime_ns for path in work.glob("*/iter_*.pth")}
    assert len(before) == 5
    again = run_tool("demo", "--tiny")
    assert again.returncode == 0 and "4 of 4 steps are finished already" in again.stderr
    assert before == {path: path.stat().st_mtime_ns for path in work.glob("*/iter_*.pth")}


def command(tmp_path, code, name="one"):
    """A tool of its own that runs ``code``."""
    tool = tmp_path / "tools" / f"{name}.py"
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(code)
    return Command(name, ("a", "b"), tmp_path / "logs" / f"{name}.log")


def test_commands_run_in_processes_of_their_own(tmp_path):
    first = command(tmp_path, "import sys; print(sys.argv[1:]); sys.modules['made_up'] = sys")
    second = command(tmp_path, "import sys; print('made_up' in sys.modules, file=sys.stderr)", "two")
    ended, ticks = [], []
    Pool(tmp_path, 1, ticks.append).run([first, second], ended.append)
    assert ended == [first, second] and ticks
    assert first.log.read_text() == "['a', 'b']\n" and second.log.read_text() == "False\n"


@pytest.mark.parametrize("code", ["raise ValueError('made up')", "import sys; sys.exit('made up')"])
def test_a_failing_command_shows_its_output(tmp_path, code):
    with pytest.raises(
        JobError, match=r"tools/one\.py failed with exit status 1 \(complete output: .*one\.log\)\n[\s\S]*made up"
    ):
        Pool(tmp_path, 2, lambda running: None).run([command(tmp_path, code)])


def test_what_runs_ends_when_another_fails(tmp_path):
    waits = command(tmp_path, "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)", "two")
    fails = command(tmp_path, "import os, time\nwhile not os.path.exists('pid'): time.sleep(0.01)\nraise SystemExit(3)")
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(JobError, match="exit status 3"):
            Pool(tmp_path, 2, lambda running: None).run([waits, fails])
        time.sleep(0.05)
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIG_DFL)
    finally:
        os.chdir(here)


def test_progress_names_stage_time_and_log(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    steps = [Step("SEP", f"step {i}", Command("train", (str(i),), tmp_path / f"{i}.log"), 120.0) for i in range(4)]
    lines: list[str] = []
    progress = Progress(steps, 2, lines.append)
    progress.stage("SEP")
    assert lines[-1].startswith("[3/6] SEP: ") and "(about 4 min left)" in lines[-1]
    progress.tick([steps[0].command])
    now[0] += 14
    progress.tick([steps[0].command])
    assert len(lines) == 1
    now[0] += 2
    progress.tick([steps[0].command])
    assert re.fullmatch(r"\[3/6\] SEP: 0 of 4 done, now step 0; about \d min left; log: .*0\.log", lines[-1])
    progress.finish(steps[0].command)
    progress.finish(steps[1].command, skipped=True)
    now[0] += 200
    progress.tick([steps[2].command])
    assert "2 of 4 done, now step 2" in lines[-1]


def test_the_plan_has_every_training_once(repo, tmp_path):
    plan = Plan(repo, Scale(), tmp_path / "weights.pth")
    steps = plan.steps()
    assert {step.stage for step in steps} == set(STAGES)
    logs = [step.command.log for step in steps]
    assert len(set(logs)) == len(logs)
    assert sum(step.stage == "fine-tuning" for step in steps) == 12
    assert sum(step.cost for step in steps) / 2 < 600, "ten minutes on two cores"
    for step in steps:
        assert all((repo / word).is_file() for word in step.command.args if word.endswith(".py"))


def test_without_weights_nothing_asks_for_them(repo):
    steps = Plan(repo, TINY, None).steps()
    trainings = [
        step
        for step in steps
        if step.command.tool == "train" and not any("default_hooks" in w for w in step.command.args)
    ]
    assert trainings and all("model.backbone.init_cfg=None" in step.command.args for step in trainings)
    assert {run.start for run in Plan(repo, TINY, None).runs()} == {"random weights", "random weights + SEP"}
