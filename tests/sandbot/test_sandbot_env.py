"""``--env``: an environment of Gymnasium in play, eval and collect."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
import pytest
from gymnasium import spaces
from scipy import stats

from ml.lerobot import read_dataset
from ml.statistics import mean_interval
from sandbot.main import main

Fails = Callable[..., str]


class Aim(gym.Env):
    """Succeeds where the action is above the number shown; one step long."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.goal = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return self.goal, {}

    def step(self, action: np.ndarray) -> Any:
        hit = bool(action[0] > self.goal[0])
        return self.goal, float(hit), True, False, {"success": hit}


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    maker: Any = Aim
    gym.register("test-env/Aim-v0", maker, max_episode_steps=5)
    yield
    del gym.registry["test-env/Aim-v0"]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must be refused; returns its line."""

    def run(*arguments: str) -> str:
        assert main(list(arguments)) == 2
        error = capsys.readouterr().err
        assert error.startswith("sandbot: ") and error.count("\n") == 1
        return error

    return run


def test_play_makes_a_video_of_a_pendulum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.mp4"
    call = ["play", "--env", "Pendulum-v1", "--policy", "zero", "--out", str(out)]
    assert main([*call, "--steps", "20", "--seed", "3"]) == 0
    frames = iio.imread(out, plugin="FFMPEG")
    assert frames.shape == (31, 480, 640, 3)
    moved = np.abs(frames[-1].astype(int) - frames[0]).max(axis=2) > 60
    assert 100 < moved.sum() < 0.2 * moved.size
    assert "0 episodes; 1.0 s simulated" in capsys.readouterr().out


def test_play_takes_random_actions_and_a_video_where_nothing_else_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["play", "--env", "Pendulum-v1", "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "not simulated by MuJoCo: a video shows it instead" in said
    assert (tmp_path / "Pendulum-v1.mp4").stat().st_size > 1000


def test_play_counts_the_successes_that_an_environment_reports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = ["play", "--env", "test-env/Aim-v0", "--viewer", "none", "--speed", "8"]
    assert main([*call, "--episodes", "20"]) == 0
    words = capsys.readouterr().out.split(";")[0].split()
    assert words[:2] == ["20", "episodes,"] and 0 < int(words[2]) < 20


def test_eval_shows_returns_where_no_success_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["eval", "--env", "Reacher-v5", "--policy", "random", "zero"]
    assert main([*call, "--episodes", "6", "--report", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "mean return" in said and "reports no success" in said
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [row["policy"] for row in rows] == ["random", "zero"]
    for row in rows:
        for name in ("successes", "success_rate", "ci_low", "ci_high"):
            assert row[name] is None
        assert row["engine"] == "gymnasium" and row["task"] == "Reacher-v5"
        assert row["return_ci_low"] < row["mean_return"] < row["return_ci_high"]
        assert f"{row['mean_return']:.1f}" in said
    assert rows[0]["mean_return"] < rows[1]["mean_return"]
    page = (tmp_path / "index.html").read_text()
    assert 'id="return"' in page and 'id="success"' not in page
    assert f"{rows[0]['mean_return']:.1f}" in page and "return over time" in page
    assert page.count("data:video/mp4") == 4


def test_eval_judges_the_success_that_an_environment_reports(tmp_path: Path) -> None:
    call = ["eval", "--env", "test-env/Aim-v0", "--policy", "zero", "--episodes", "60"]
    results = []
    for size in ("60", "7"):
        out = tmp_path / size
        assert main([*call, "--num-envs", size, "--report", str(out)]) == 0
        results.append(json.loads((out / "results.json").read_text())[0])
        assert 'id="success"' in (out / "index.html").read_text()
    row, other = results
    assert 0.2 < row["success_rate"] < 0.8 and row["ci_low"] < row["success_rate"]
    assert row["mean_return"] == row["success_rate"]
    for name in ("successes", "mean_return", "return_ci_low"):
        assert row[name] == other[name]
    assert main([*call, "--min-success", "0.1"]) == 0
    assert main([*call, "--min-success", "0.9"]) == 1


def test_collect_train_and_eval_on_a_pendulum(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = []
    for size in ("4", "3"):
        data = tmp_path / f"data{size}"
        call = ["collect", "--env", "Pendulum-v1", "--policy", "random"]
        call += ["--episodes", "4", "--num-envs", size, "--out", str(data)]
        assert main(call) == 2
        assert "--keep-failures" in capsys.readouterr().err
        assert main([*call, "--keep-failures"]) == 0
        assert "reports no success" in capsys.readouterr().out
        dataset = read_dataset(data)
        assert dataset.about["engine"] == "gymnasium"
        frames.append(dataset.frames)
    for key in ("observation.state", "action", "next.reward"):
        assert np.array_equal(frames[0][key], frames[1][key])
    assert not frames[0]["next.success"].any()
    run = tmp_path / "run"
    call = ["train", "bc", "--data", str(tmp_path / "data4"), "--task", "Pendulum-v1"]
    assert main([*call, "--out", str(run), "--steps", "4"]) == 0
    assert main(["eval", "Pendulum-v1", "--policy", str(run), "--episodes", "2"]) == 0
    assert (
        "| Pendulum-v1 | gymnasium | none | return -" in (run / "README.md").read_text()
    )


def test_a_module_in_this_folder_brings_its_own_ids(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "envs_of_mine.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control.pendulum import PendulumEnv\n"
        "gymnasium.register('Mine-v0', PendulumEnv, max_episode_steps=9)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))  # restores sys.path
    call = ["--env", "envs_of_mine:Mine-v0", "--viewer", "none", "--episodes", "1"]
    assert main(["play", *call]) == 0
    assert "1 episode; 0.5 s simulated" in capsys.readouterr().out
    gym.registry.pop("Mine-v0")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("play --env Pendulm-v1", "Did you mean 'Pendulum-v1'?"),
        ("play --env CartPole-v1", "only a Box"),
        ("play --env no_module_such:X-v0", "needs a package that is not installed"),
        ("play --env Pendulum-v1 --viewer web", "watch it with --viewer video"),
        ("play --env Pendulum-v1 --engine bullet", "leave --engine out"),
        ("play --env Pendulum-v1 --randomize gap", "Known: none"),
        ("play --env Pendulum-v1 --policy expert", "has no expert: give --policy"),
        ("play --env Pendulum-v1 --policy pid", "random, zero and checkpoints"),
        ("eval --env Pendulum-v1 --episodes 2", "has no expert: give --policy"),
        ("eval --env Pendulum-v1 --engine mujoco --policy zero", "leave --engine out"),
        (
            "eval --env Pendulum-v1 --policy zero --episodes 2 --min-success 0.5",
            "--min-success 0.5 has nothing to be held against",
        ),
        ("collect --env Pendulum-v1 --out {out}", "has no expert: give --policy"),
    ],
)
def test_bad_input(tmp_path: Path, fails: Fails, call: str, words: str) -> None:
    out = tmp_path / "data"
    assert words in fails(*call.format(out=out).split())
    assert not out.exists()


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.array([3.0, 5.0, 4.0, 9.0])
    wanted = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx(wanted)
    assert mean_interval([1.0]) == (-np.inf, np.inf)
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])
