"""Evaluations on the way: episodes of their own, nothing changed, and films."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assets.errors import SandbotError, UsageError
from policies import trial
from policies.rl import worlds
from policies.rl.fastsac import FastSAC, FastSACConfig
from policies.rl.judge import FILMS, Judge
from policies.rl.policy import RLPolicy
from policies.rl.worlds import find_sizes
from sims import make_task
from sims.env import Env
from tests.policies.rl_runs import run, short  # noqa: F401


def judge(folder: Path, **changes: Any) -> Judge:
    task = make_task("arm-reach")
    options: dict[str, Any] = {"hidden": (8,), "critic_hidden": (8,)}
    options |= {"evaluate_episodes": 3, **changes}
    config = FastSACConfig(**options)
    learner = FastSAC(find_sizes(task), config, torch.device("cpu"))
    return Judge(task, learner, config, None, folder)


def test_no_episode_is_learned_from_and_judged_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray] = []
    reset = Env.reset

    def spy(self: Env, **options: Any) -> Any:
        made = reset(self, **options)
        seen.append(self._ids.copy())
        return made

    monkeypatch.setattr(Env, "reset", spy)
    run(tmp_path / "run", steps=100)
    learned = seen[0]
    assert learned.tolist() == [worlds.FIRST_ID + i for i in range(4)]
    assert len(seen) == 3
    for judged in seen[1:]:  # on the same episodes each time
        assert judged.tolist() == [trial.FIRST_ID, trial.FIRST_ID + 1]
    # of the largest trainings and evaluations there are, and of tests from 0 on
    assert trial.FIRST_ID > 10**6
    assert trial.FIRST_ID + 10**6 < worlds.FIRST_ID


def test_judging_changes_nothing(tmp_path: Path) -> None:
    one = judge(tmp_path)
    learner = one.learner
    learner.nets.train()
    before = {k: v.clone() for k, v in learner.nets.state_dict().items()}
    draws, own = learner.generator.get_state(), torch.get_rng_state()
    figures = [one(0), one(1)]
    assert figures[0] == figures[1]
    assert figures[0].keys() >= {"success", "return", "length"}
    assert all(module.training for module in learner.nets.modules())
    assert torch.equal(draws, learner.generator.get_state())
    assert torch.equal(own, torch.get_rng_state())
    for name, value in learner.nets.state_dict().items():
        assert torch.equal(value, before[name])
    assert not (tmp_path / FILMS).exists()


def test_a_profile_that_a_task_lacks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'gap'"):
        judge(tmp_path, evaluate_randomize="gaap")


def test_each_evaluation_films_an_episode(tmp_path: Path) -> None:
    import imageio_ffmpeg

    one = judge(tmp_path, video=True)
    one(1200)
    (film,) = (tmp_path / FILMS).iterdir()
    assert film.name == "step-0000001200.mp4"
    assert film.stat().st_size < 500_000
    frames = imageio_ffmpeg.read_frames(str(film))
    about = next(frames)
    assert about["size"] == (320, 240)
    pictures = [np.frombuffer(frame, np.uint8) for frame in frames]
    assert len(pictures) > 5
    assert pictures[0].std() > 10  # there is something to see
    assert not np.array_equal(pictures[0], pictures[-1])


def test_without_opengl_there_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from sims.viewers import video

    def refuse(*_: object, **__: object) -> None:
        raise SandbotError("no OpenGL here:\ninstall EGL")

    monkeypatch.setattr(video, "record", refuse)
    one = judge(tmp_path, video=True)
    with caplog.at_level(logging.WARNING):
        one(0)
        one(1)
    (record,) = caplog.records
    assert record.getMessage() == (
        "no films of this training: no OpenGL here: install EGL"
    )


def test_a_policy_acts_as_its_learner_does(tmp_path: Path) -> None:
    """Within the task's limits, in the middle of the policy."""
    one = judge(tmp_path)
    policy = one._policy(2)
    assert isinstance(policy, RLPolicy)
    low, high = one.task.action_spec.limits()
    kept = one.learner.average.network
    torch.nn.init.normal_(kept.mean.weight)
    acting = one._policy(2)
    obs = {k: np.ones((2, s.size)) for k, s in policy.obs_spec.items()}
    rows = torch.ones(2, sum(spec.size for spec in policy.obs_spec.values()))
    expected = torch.tanh(kept(one.learner.norm(rows))[0])
    found = acting.act(obs)
    np.testing.assert_allclose(
        found,
        (low + high) / 2 + (high - low) / 2 * expected.detach().numpy(),
        rtol=1e-5,
    )
    np.testing.assert_allclose(policy.act(obs), np.tile((low + high) / 2, (2, 1)))
