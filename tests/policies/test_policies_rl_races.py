"""The races with Stable-Baselines3: same settings on both sides, judged alike."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from benchmarks import rl_agreement, rl_pendulum, rl_runs
from policies.rl.algorithms import find_algorithm


@pytest.mark.parametrize("algorithm", ["sac", "td3"])
@pytest.mark.parametrize("case", rl_agreement.CASES.values(), ids=rl_agreement.CASES)
def test_both_sides_have_the_same_settings(case: Any, algorithm: str) -> None:
    settings = rl_agreement.ours(case, algorithm)
    ours = find_algorithm(algorithm).config(**settings)
    given = rl_agreement.theirs(case, algorithm)
    given["policy_kwargs"] = {"net_arch": given.pop("net_arch")}
    noise = given.pop("action_std", None)
    kind: Any = getattr(stable_baselines3, algorithm.upper())
    theirs = kind("MlpPolicy", case["gym_id"], device="cpu", **given)
    for name in ("learning_rate", "batch_size", "gamma", "tau"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.warmup == theirs.learning_starts
    assert ours.replay == theirs.buffer_size == ours.steps
    assert list(ours.hidden) == list(ours.critic_hidden) == theirs.policy.net_arch
    assert ours.updates == theirs.gradient_steps == theirs.train_freq.frequency == 1
    assert ours.num_envs == theirs.n_envs == 1
    assert noise == getattr(ours, "explore_std", None)


@pytest.mark.parametrize("name", rl_agreement.CASES)
def test_both_sides_of_ppo_have_the_same_settings(name: str) -> None:
    case = rl_agreement.setting(name, "ppo")
    ours = find_algorithm("ppo").config(**rl_agreement.ours(case, "ppo"))
    given = rl_agreement.theirs(case, "ppo")
    env = make_vec_env(case["gym_id"], given.pop("n_envs"))
    theirs: Any = stable_baselines3.PPO("MlpPolicy", env, device="cpu", **given)
    for name in ("learning_rate", "batch_size", "gamma", "max_grad_norm"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert (ours.lam, ours.clip) == (theirs.gae_lambda, theirs.clip_range(1))
    assert (ours.num_envs, ours.rollout) == (theirs.n_envs, theirs.n_steps)
    assert (ours.epochs, ours.normalize) == (theirs.n_epochs, False)
    assert (ours.value_weight, ours.entropy_weight) == (theirs.vf_coef, theirs.ent_coef)
    layers = theirs.policy.mlp_extractor.policy_net
    widths = [m.out_features for m in layers if isinstance(m, nn.Linear)]
    assert list(ours.hidden) == list(ours.critic_hidden) == widths
    assert ours.steps % (ours.num_envs * ours.rollout) == 0


def test_the_judge_counts_what_gymnasium_pays() -> None:
    found = rl_runs.judge(lambda obs: 0.5 * obs[:, 1:2], "Pendulum-v1", 3)
    for i, value in enumerate(found):
        env = gym.make("Pendulum-v1")
        obs, _ = env.reset(seed=rl_runs.JUDGED_FROM + i)
        total, over = 0.0, False
        while not over:
            obs, reward, _, over, _ = env.step(0.5 * obs[1:2])
            total += float(reward)
        assert value == pytest.approx(total, rel=1e-5)
    assert len(set(found)) == 3


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_short_training_is_seen(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"steps": 60, "every": 30, "settings": {"learning_starts": 20, "net": (8,)}}
    case = rl_agreement.CASES["pendulum"] | small
    monkeypatch.setitem(rl_agreement.CASES, "pendulum", case)
    monkeypatch.setattr(rl_agreement, "EPISODES", 4)
    monkeypatch.setattr(rl_agreement, "LOOK", 2)
    row = rl_agreement.run("pendulum", "td3", side, 0)
    assert [steps for steps, _ in row["curve"]] == [30, 60]
    assert -2000 < row["return"] < -100
    assert 0 < row["processor_seconds"] < 30
    assert rl_agreement.key(row) == ("pendulum", "td3", side, 0)


def test_agreement_is_overlap_of_intervals_of_three_seeds() -> None:
    def rows(side: str, returns: list[float]) -> list[dict[str, Any]]:
        where = {"case": "pendulum", "algorithm": "sac", "side": side}
        return [
            {**where, "seed": i, "return": value, "processor_seconds": 1.0}
            for i, value in enumerate(returns)
        ]

    ours = rows("ours", [-150.0, -151.0, -149.0])
    near = rows("theirs", [-152.0, -153.0, -151.0])
    far = rows("theirs", [-182.0, -183.0, -181.0])
    assert rl_agreement.compare(ours + near)[1][0]["met"]
    assert not rl_agreement.compare(ours + far)[1][0]["met"]
    table, bars, missing = rl_agreement.compare(ours + near[:2])
    assert not bars and [line["seeds"] for line in table] == [3, 2]
    assert missing[0] == "pendulum, sac: seeds done: ours 3, theirs 2"
    assert len(missing) == len(rl_agreement.CASES) * len(rl_agreement.ALGORITHMS)


def test_the_pendulum_compares_seed_by_seed() -> None:
    def row(side: str, seed: int, seconds: float, value: float) -> dict[str, Any]:
        times = {"seconds": seconds, "processor_seconds": seconds / 2}
        return {"side": side, "seed": seed, "return": value, **times}

    rows = [row("theirs", s, 100.0 * (s + 1), -150.0) for s in range(5)]
    rows += [row("ours", s, 20.0 * (s + 1), -140.0 - 10 * s) for s in range(5)]
    lines = rl_pendulum.bars(rows)
    assert [line["figure"] for line in lines] == pytest.approx([5, -160, 0.2, 0.2])
    assert [line["met"] for line in lines] == [True, False, True, True]
    means = rl_pendulum.means(rows)
    assert means["ours"]["interval"][0] < -160 < means["ours"]["interval"][1]
    assert rl_pendulum.bars(rows[:6])[0]["figure"] == 1  # seeds that both have done
    assert [line["met"] for line in rl_pendulum.bars(rows[:5])] == [False]
    assert np.isclose(means["theirs"]["return"], -150)
