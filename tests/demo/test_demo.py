"""The demo end to end, with a handful of scenes and two iterations; and how it reports, goes on and fails."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from docs.hooks.blocks import read_blocks, split_commands
from rsseg.command_list import COMMANDS
from rsseg.demo.plan import STAGES, TINY, WORK, Plan, Scale, Step
from rsseg.demo.processes import Command, Pool
from rsseg.demo.progress import Progress
from rsseg.demo.run import _choose
from rsseg.demo.schedule import Schedule
from rsseg.errors import JobError

REPO = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.stack
def test_the_whole_path(run_tool, tmp_path):
    done = run_tool("demo", "--tiny")
    assert done.returncode == 0, done.stdout + done.stderr
    for number, stage in enumerate(STAGES, 1):
        assert f"[{number}/6] {stage}" in done.stderr
    rows = re.findall(r"from .*?, (\d) images +\|? *\d", done.stdout)
    assert rows in (["4", "4", "4", "2", "2"], ["4", "4", "2", "2"])  # without ImageNet weights one fewer
    for text in ("rsseg map YOUR_RASTER.tif", "rsseg convert ", "index.html"):
        assert text in done.stdout
    work = tmp_path / "work_dirs" / "demo"
    for name in ("index.html", "best.pth", "map/scene.tif", "map/scene.gpkg", "map/scene.html", "map/scene.qml"):
        assert (work / name).is_file(), name
    assert len(list((work / "pictures" / "landcover").glob("*.png"))) == 2
    assert all(list((work / "pictures" / f"labels_{name}").glob("*.png")) for name in ("sota", "sior", "fast"))
    assert re.search(r"CPU seconds: scenes \d+, .*map \d+; together \d+ in \d+ s, \d+ % of 2 cores", done.stderr)
    assert "[1/6]" not in done.stdout, "results go to stdout, progress to stderr"
    results = ("*/iter_*.pth", "best.pth", "map/*", "*_test/*/*.json")
    before = {path: path.stat().st_mtime_ns for pattern in results for path in work.glob(pattern)}
    assert sum(path.suffix == ".pth" for path in before) == len(rows) + 2
    again = run_tool("demo", "--tiny")
    assert again.returncode == 0 and again.stdout == done.stdout
    for stage in ("[3/6] SEP: all 1 step", f"[4/6] fine-tuning: all {len(rows)} steps", "[6/6] map: all 2 steps"):
        assert stage in again.stderr
    assert before == {path: path.stat().st_mtime_ns for pattern in results for path in work.glob(pattern)}
    for line, words in first_map((REPO / "README.md").read_text(encoding="utf-8")):
        name = " ".join(words[1:3]) if words[1] == "report" else words[1]
        done = run_tool(COMMANDS[name], *words[1 + len(name.split()) :])
        assert done.returncode == 0, f"README.md:{line}: {done.stderr}"
    for suffix in ("tif", "qml", "gpkg", "html"):
        assert (tmp_path / "work_dirs" / f"first.{suffix}").is_file()


def first_map(readme):
    """Line and words of the commands of "Your first map", with a smaller scene."""
    (block,) = [block for block in read_blocks(readme) if block.text.startswith("source .venv/bin/activate\n")]
    scene = re.search(r"^SCENE=(\S+)$", block.text, re.MULTILINE)[1]
    small = block.text.replace("--size 2048", "--size 256").replace("$SCENE", scene)
    commands = [(block.line + line, words) for line, words in split_commands(small)]
    assert [words[1] for _, words in commands] == ["scenes", "map", "report"]
    return commands


def command(tmp_path, code, name="one"):
    """A tool of its own that runs ``code``."""
    tool = tmp_path / "tools" / f"{name}.py"
    tool.parent.mkdir(exist_ok=True)
    tool.write_text(code)
    return Command(name, ("a", "b"), tmp_path / "logs" / f"{name}.log")


def handed_out(*commands):
    """Hands out commands one by one, without waiting for any."""
    waiting = list(commands)
    return lambda: waiting.pop(0) if waiting else None


def test_commands_run_in_processes_of_their_own(tmp_path):
    first = command(tmp_path, "import sys; print(sys.argv[1:]); sys.modules['made_up'] = sys")
    second = command(tmp_path, "import sys; print('made_up' in sys.modules, file=sys.stderr)", "two")
    ended, ticks = [], []
    pool = Pool(tmp_path, 1, ticks.append)
    pool.run(handed_out(first, second), ended.append)
    assert ended == [first, second] and ticks
    if sys.platform == "linux":
        assert set(pool.seconds) == {first, second} and all(0 < cost < 60 for cost in pool.seconds.values())
    assert first.log.read_text() == "['a', 'b']\n" and second.log.read_text() == "False\n"


@pytest.mark.parametrize("code", ["raise ValueError('made up')", "import sys; sys.exit('made up')"])
def test_a_failing_command_shows_its_output(tmp_path, code):
    with pytest.raises(
        JobError, match=r"tools/one\.py failed with exit status 1 \(complete output: .*one\.log\)\n[\s\S]*made up"
    ):
        Pool(tmp_path, 2, lambda running: None).run(handed_out(command(tmp_path, code)))


SAYS_WHO_IT_IS = (
    "import os, time; open('part', 'w').write(str(os.getpid())); os.rename('part', 'pid'); time.sleep(3600)"
)


def test_what_runs_ends_when_another_fails(tmp_path):
    waits = command(tmp_path, SAYS_WHO_IT_IS, "two")
    fails = command(tmp_path, "import os, time\nwhile not os.path.exists('pid'): time.sleep(0.01)\nraise SystemExit(3)")
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(JobError, match="exit status 3"):
            Pool(tmp_path, 2, lambda running: None).run(handed_out(waits, fails))
        wait_for(lambda: not runs(int((tmp_path / "pid").read_text())))
    finally:
        os.chdir(here)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_what_runs_ends_when_the_demo_is_killed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    waits = command(tmp_path, SAYS_WHO_IT_IS)
    demo = os.fork()
    if not demo:
        Pool(tmp_path, 1, lambda running: None).run(handed_out(waits))
        os._exit(0)
    wait_for((tmp_path / "pid").is_file)
    os.kill(demo, signal.SIGKILL)
    os.waitpid(demo, 0)
    tool = int((tmp_path / "pid").read_text())
    wait_for(lambda: not runs(tool))


def wait_for(condition, seconds=600.0):
    """Until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def runs(process):
    """Whether it has not ended; one that waits for its parent has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_progress_names_stage_time_and_log(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    steps = [Step("SEP", f"step {i}", Command("train", (str(i),), tmp_path / f"{i}.log"), 120.0) for i in range(4)]
    lines: list[str] = []
    progress = Progress(steps, 2, lines.append)
    progress.tick([steps[0].command])
    assert lines[-1].startswith("[3/6] SEP: ") and "(about 4 min left)" in lines[-1]
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


def test_while_commands_run_a_line_comes_every_20_seconds(tmp_path, monkeypatch):
    now, said = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    steps = [Step("test", str(i), Command("test", (), tmp_path / f"{i}.log"), 5.0) for i in range(40)]
    progress = Progress(steps, 2, lambda line: said.append((now[0], line)))
    for i in range(4000):  # 400 seconds of the pool's ticks, a step ends every ten
        if i % 100 == 99:
            progress.finish(steps[i // 100].command)
        progress.tick([steps[min(i // 100 + 1, 39)].command])
        now[0] += 0.1
    times = [at for at, _ in said]
    assert max(b - a for a, b in zip(times, [*times[1:], now[0]], strict=True)) <= 20
    assert all("left" in line for _, line in said) and all("log: " in line for _, line in said[1:])


def made_up(tmp_path, stage, name, **more):
    """A step that nothing runs."""
    return Step(stage, name, Command("make", (name,), tmp_path / "logs" / f"{name}.log"), 1.0, **more)


def test_steps_wait_for_what_they_need_and_finished_ones_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    source = tmp_path / "source"
    source.write_text("1")
    sep = made_up(tmp_path, "SEP", "sep", inputs=(source,), output="sep.pth")
    own = made_up(tmp_path, "fine-tuning", "own")
    after = made_up(tmp_path, "fine-tuning", "after", needs=(sep.command,))
    ended = []

    def schedule():
        return Schedule([sep, after, own], lambda step, skipped: ended.append((step.title, skipped)))

    first = schedule()
    assert [first.take(), first.take(), first.take()] == [sep.command, own.command, None], "side by side"
    (tmp_path / "sep.pth").write_text("result")
    first.finish(sep.command)
    assert first.take() == after.command
    second = schedule()
    assert [second.take(), second.take()] == [after.command, own.command]
    assert ended == [("sep", False), ("sep", True)]
    source.write_text("2")
    assert schedule().take() == sep.command, "its input has changed"


def test_the_map_is_made_by_the_model_that_is_best_on_validation_images(repo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = Plan(repo, Scale(seeds=1), tmp_path / "weights.pth")
    scores = {"random_weights_12_seed0": 30.0, "imagenet_12_seed0": 50.0, "imagenet_sep_12_seed0": 49.0}
    assert {run.name for run in plan.candidates()} == set(scores), "few labels are for comparison"
    for name, score in scores.items():
        log = WORK / name / "20260101_000000" / "vis_data" / "scalars.json"
        log.parent.mkdir(parents=True)
        log.write_text(f'{{"loss": 1.0, "step": 99}}\n{{"mIoU": {score}, "step": 100}}\n')
        (WORK / name / f"iter_{plan.scale.iters[0]}.pth").write_text(name)
    said = _choose(plan)
    assert said == (
        "work_dirs/demo/best.pth is the model from ImageNet, 12 images, seed 0: its mIoU on the validation images is "
        "50.0 per cent, the highest of 3"
    )
    assert plan.best.read_text() == "imagenet_12_seed0"


def test_the_readme_maps_with_the_model_of_the_demo(repo):
    plan = Plan(repo, Scale(), None)
    text = re.sub(r" \\\n +", " ", (repo / "README.md").read_text(encoding="utf-8"))
    assert plan.model.replace(f"{repo}/", "") in text


def test_the_plan_has_every_training_once(repo, tmp_path):
    plan = Plan(repo, Scale(), tmp_path / "weights.pth")
    steps = plan.steps()
    assert {step.stage for step in steps} == set(STAGES)
    logs = [step.command.log for step in steps]
    assert len(set(logs)) == len(logs)
    assert sum(step.stage == "fine-tuning" for step in steps) == 15
    assert sum(step.cost for step in steps) / 2 < 540, "ten minutes on two cores, with some margin"
    for number, step in enumerate(steps):
        assert {other.command for other in steps[:number]} >= set(step.needs), step.title
    for step in steps:
        assert all((repo / word).is_file() for word in step.command.args if word.endswith(".py"))


def test_without_weights_nothing_asks_for_them(repo):
    steps = Plan(repo, TINY, None).steps()
    trainings = [
        step
        for step in steps
        if step.command.tool == "train" and not any("default_hooks.start" in w for w in step.command.args)
    ]
    assert trainings and all("model.backbone.init_cfg=None" in step.command.args for step in trainings)
    assert {run.start for run in Plan(repo, TINY, None).runs()} == {"random weights", "random weights + SEP"}
