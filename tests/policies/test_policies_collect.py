"""Collecting: everything that is seen, safe at every moment, to be continued."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sims
from assets.errors import UsageError
from ml.files import sha256
from ml.lerobot import read_dataset
from ml.lerobot.check import check
from ml.spec import ArraySpec
from policies.clock import PhysicsClock
from policies.collect import FIRST_ID, collect
from sims import make_env
from sims.env import Env
from tests.processes import start


def test_all_that_a_task_tells_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policies.collect.PROBE", 4)
    summary = collect(
        "aloha-transfer-cube", "expert", episodes=2, out=tmp_path / "d", threads=1
    )
    data = read_dataset(tmp_path / "d")
    assert data.groups == ("state", "environment_state") and data.cameras == ()
    assert summary.physics_share is not None and 0.2 < summary.physics_share < 1
    env = make_env("aloha-transfer-cube", num_envs=1)
    env.reset(seed=0, ids=np.array([FIRST_ID]))
    assert data.instruction(0) == env.instructions()[0]
    for name, spec in env.obs_spec.items():
        assert data.names(f"observation.{name}") == spec.names
    env.close()
    feature = data.info["features"]["action"]
    low, high = env.action_spec.limits()
    np.testing.assert_array_equal(np.float32(feature["low"]), low)
    np.testing.assert_array_equal(np.float32(feature["high"]), high)
    row = data.episodes[0]
    assert row["success"] is True and row["outcomes/benchmark_success"] is True
    assert data.about["versions"]["mujoco"] and data.about["multiccd"] in (
        "disabled",
        "enabled",
    )
    ends = data.bounds[:, 1] - data.bounds[:, 0]
    assert (ends < env.max_steps).all(), "solved episodes end early"
    disturbance = data.frames["executed_action"] - data.frames["action"]
    assert (data.about["noise"] > 0) == bool(np.abs(disturbance).max() > 0)
    assert check(tmp_path / "d").findings == []


def test_a_dict_of_observations_is_recorded_whole(tmp_path: Path) -> None:
    import gymnasium as gym
    from gymnasium import spaces

    class Goal(gym.Env):
        observation_space = spaces.Dict(
            {
                "observation": spaces.Box(-9, 9, (3,)),
                "desired_goal": spaces.Box(-9, 9, (2,)),
            }
        )
        action_space = spaces.Box(-1, 1, (2,))

        def _seen(self) -> dict[str, Any]:
            return {
                "observation": np.full(3, self.t, np.float32),
                "desired_goal": np.array([5, -self.t], np.float32),
            }

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.t = 0
            return self._seen(), {}

        def step(self, action: Any) -> Any:
            self.t += 1
            return self._seen(), 0.0, self.t == 5, False, {}

    gym.register("test-goal/Goal-v0", lambda **_: Goal(), max_episode_steps=9)
    try:
        collect(
            "test-goal/Goal-v0",
            "random",
            episodes=2,
            out=tmp_path / "d",
            keep_failures=True,
        )
    finally:
        gym.registry.pop("test-goal/Goal-v0")
    data = read_dataset(tmp_path / "d")
    assert set(data.groups) == {"observation", "desired_goal"}
    episode = data.episode(1)
    assert episode["observation.observation"][:, 0].tolist() == [0, 1, 2, 3, 4]
    assert episode["observation.desired_goal"][:, 1].tolist() == [0, -1, -2, -3, -4]


def test_clipped_actions_are_counted(tmp_path: Path) -> None:
    collect(
        "arm-reach", "pid", episodes=1, out=tmp_path / "d", keep_failures=True, noise=0
    )
    data = read_dataset(tmp_path / "d")
    feature, action = data.info["features"]["action"], data.vectors("action")
    at_limit = (action <= feature["low"]) | (action >= feature["high"])
    np.testing.assert_array_equal(data.frames["clipped"], at_limit.sum(1))


CALL: dict[str, Any] = {"episodes": 8, "seed": 3, "threads": 1, "num_envs": 3}


@pytest.mark.parametrize("keep_failures", [False, True])
def test_a_continued_dataset_is_the_uninterrupted_one(
    tmp_path: Path, keep_failures: bool
) -> None:
    given: dict[str, Any] = CALL | {"noise": 0.13, "keep_failures": keep_failures}
    first: dict[str, Any] = given | {"episodes": 4}
    collect("arm-reach", "expert", out=tmp_path / "d", **first)
    again = collect("arm-reach", "expert", out=tmp_path / "d", resume=True, **given)
    whole = collect("arm-reach", "expert", out=tmp_path / "w", **given)
    assert (again.attempts, again.successes) == (whole.attempts, whole.successes)
    assert sha256(tmp_path / "d") == sha256(tmp_path / "w")
    if not keep_failures:
        assert whole.successes == 8 < whole.attempts


def test_a_kill_costs_no_whole_episode(tmp_path: Path) -> None:
    many = CALL | {"episodes": 5000, "noise": 0.1, "resume": True}
    counts = []
    for moment in (0.02, 0.31, 0.77):
        process = start(collect, "arm-reach", "expert", out=tmp_path / "d", **many)
        seen = counts[-1] if counts else 0
        for _ in range(600):  # until it records, then a moment more
            time.sleep(0.05)
            if (tmp_path / "d").exists():
                info = json.loads((tmp_path / "d/meta/info.json").read_text())
                if info["total_episodes"] > seen:
                    break
        time.sleep(moment)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        data = read_dataset(tmp_path / "d")
        assert check(tmp_path / "d").findings == []
        assert data.frames["next.done"][data.bounds[:, 1] - 1].all()
        counts.append(len(data.episodes))
    assert counts == sorted(set(counts)), "each run went on"
    given: dict[str, Any] = CALL | {"episodes": counts[0], "noise": 0.1}
    collect("arm-reach", "expert", out=tmp_path / "w", **given)
    whole, killed = read_dataset(tmp_path / "w"), read_dataset(tmp_path / "d")
    for key, values in whole.frames.items():
        np.testing.assert_array_equal(killed.frames[key][: len(values)], values)


def test_only_the_same_recording_is_continued(tmp_path: Path) -> None:
    given: dict[str, Any] = {"episodes": 2, "out": tmp_path / "d", "noise": 0.0}
    collect("arm-reach", "expert", **given)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"noise": 0.1}, r"noise was 0\.0 and is 0\.1"),
        ({"engine": "bullet"}, "engine was 'mujoco' and is 'bullet'"),
        ({"overwrite": True}, "continued or overwritten, not both"),
    ]
    for changes, message in cases:
        with pytest.raises(UsageError, match=message):
            collect("arm-reach", "expert", resume=True, **(given | changes))
    done = collect("arm-reach", "expert", resume=True, **given)
    assert (done.episodes, done.attempts) == (2, 2)


class _Filmed:
    """An environment with a camera that draws the time, before any renderer."""

    def __init__(self, env: Env, width: int, height: int) -> None:
        self._env, self._shape = env, (height, width, 3)
        spec = ArraySpec(shape=self._shape, dtype="uint8")
        self.obs_spec = env.obs_spec | {
            "images.left_wrist": spec,
            "depth.left_wrist": ArraySpec(shape=self._shape[:2]),
        }

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def _seen(self, obs: dict[str, Any]) -> dict[str, Any]:
        grey = np.minimum(self._env.state.steps // 2, 255).astype(np.uint8)
        pictures = np.broadcast_to(
            grey[:, None, None, None], (self._env.num_envs, *self._shape)
        )
        return obs | {"images.left_wrist": pictures}

    def reset(self, **given: Any) -> dict[str, Any]:
        return self._seen(self._env.reset(**given))

    def step(self, action: np.ndarray) -> Any:
        obs, *rest = self._env.step(action)
        return self._seen(obs), *rest


def test_cameras_are_recorded_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def filmed(task: Any, **given: Any) -> _Filmed:
        asked.update({k: given.pop(k) for k in ("observe", "cameras", "image_size")})
        return _Filmed(make_env(task, **given), *asked["image_size"])

    monkeypatch.setattr(sims, "make_env", filmed)
    collect(
        "arm-reach",
        "expert",
        episodes=3,
        num_envs=2,
        noise=0.13,
        out=tmp_path / "d",
        cameras=("left/wrist",),
        image_size=(48, 32),
        threads=1,
    )
    assert asked == {
        "observe": "both",
        "cameras": ("left/wrist",),
        "image_size": (48, 32),
    }
    data = read_dataset(tmp_path / "d")
    assert data.cameras == ("left_wrist",) and data.groups == ("state",)
    assert data.about["image_size"] == [48, 32]
    for index in range(3):
        grey = data.video(index, "left_wrist").mean((1, 2, 3))
        assert np.abs(grey - np.arange(len(grey)) // 2).max() < 4
    assert len(list((tmp_path / "d").rglob("*.mp4"))) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_the_clock_sees_physics_alone() -> None:
    env = make_env("arm-reach", num_envs=4, threads=1)
    env.reset(seed=0)
    with PhysicsClock(env.engine) as clock:
        for _ in range(20):
            env.step(np.zeros((4, 2)))
        time.sleep(0.2)
        share = clock.share
    assert share is not None and 0 < share < 0.5
    seconds = clock.physics
    env.step(np.zeros((4, 2)))
    assert clock.physics == seconds, "outside of the block nothing is measured"
    env.close()

    class Stepless:
        pass

    with PhysicsClock(Stepless()) as none:  # pyright: ignore[reportArgumentType]
        assert none.share is None
