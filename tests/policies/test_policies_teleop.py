"""Leader arms are passive and follow a hand; hands are unsteady; the robot follows."""

from pathlib import Path

import numpy as np
import pytest

from assets import load_model
from ml.lerobot.check import check
from policies import make_policy
from policies.aloha.script import Waypoint
from policies.collect import collect
from policies.teleop.hand import Hand, HandNoise
from policies.teleop.leader import LeaderArm, leader_model
from sims import make_env
from sims.tasks.aloha import START

STEADY = HandNoise(tremor=0.0, turn_tremor=0.0, drift=0.0)


def test_leaders_have_no_motors_and_hold_still_when_let_go() -> None:
    model = leader_model()
    assert model.nu == 0 and load_model("viperx").nu == 8
    arm = LeaderArm()
    import mujoco

    for _ in range(1000):
        mujoco.mj_step(arm.model, arm.data)
    np.testing.assert_allclose(arm.reading[:6], START, atol=1e-3)


def test_a_leader_goes_where_it_is_pulled_and_yields() -> None:
    arm = LeaderArm()
    position, rotation = (part.copy() for part in arm.grip)
    goal = position + np.array([0.05, 0.04, -0.03])
    arm.pull(goal, rotation, 1.0)
    assert np.linalg.norm(arm.grip[0] - goal) > 0.02, "no hand is rigid"
    for _ in range(60):
        arm.pull(goal, rotation, 1.0)
    assert np.linalg.norm(arm.grip[0] - goal) < 2e-3
    assert arm.reading[6] > 0.9
    for _ in range(60):
        arm.pull(goal, rotation, 0.0)
    assert arm.reading[6] < 0.15


def test_tremor_has_its_size_and_its_frequencies() -> None:
    dt, noise = 0.02, HandNoise(drift=0.0)
    path = [Waypoint(time=40.0, position=np.zeros(3), rotation=np.eye(3), opening=1.0)]
    start = np.zeros(3), np.eye(3)
    hand = Hand(path, start, dt, noise, np.random.default_rng(0))
    places = np.array([hand.at(i, np.zeros(3))[0] for i in range(2000)])
    assert places.std(0) == pytest.approx(noise.tremor, rel=0.25)
    power = np.abs(np.fft.rfft(places, axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(places), dt)
    low, high = noise.tremor_band
    inside = (frequency > low - 0.2) & (frequency < high + 0.2)
    assert power[inside].sum() > 0.95 * power.sum()


def test_the_hand_makes_up_for_what_the_follower_lacks() -> None:
    path = [Waypoint(time=9.0, position=np.zeros(3), rotation=np.eye(3), opening=1.0)]
    start = np.zeros(3), np.eye(3)
    hand = Hand(path, start, 0.02, STEADY, np.random.default_rng(0))
    follower = np.array([0.0, 0.0, -0.01])
    for step in range(400):
        position, _, _ = hand.at(step, follower)
        follower = position + np.array([0.0, 0.0, -0.01])
    assert abs(follower[2]) < 1e-3


def test_followers_do_as_the_leaders_do() -> None:
    env = make_env("aloha-transfer-cube", num_envs=1, threads=1)
    policy = make_policy("leader-arms", env.task, 1)
    obs = env.reset()
    begin = obs["state"].copy()
    errors = []
    for _ in range(120):
        action = policy.act(obs)
        obs = env.step(action)[0]
        errors.append(np.abs(action - obs["state"])[0, [0, 1, 2, 7, 8, 9]].max())
    assert np.mean(errors) < 0.05 and np.ptp(obs["state"] - begin) > 0.3


def test_recordings_through_the_leaders_are_valid(tmp_path: Path) -> None:
    out = tmp_path / "leaders"
    summary = collect(
        "aloha-transfer-cube",
        "leader-arms",
        episodes=3,
        out=out,
        noise=0.0,
        keep_failures=True,
        threads=1,
    )
    assert summary.episodes == summary.attempts == 3
    assert summary.successes is not None and summary.successes >= 2
    assert not check(out).findings
