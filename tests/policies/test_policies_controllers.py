"""The controllers as policies: they solve their tasks, and say what they cannot."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import policies
from assets import SandbotError, UsageError
from policies import POLICIES, make_policy
from sims import make_env, make_task
from sims.policy import Policy

PAIRS = [
    (name, task)
    for name, entry in POLICIES.items()
    for task in entry.tasks or ("arm-reach", "arm-track", "arm-press")
]


def play(task: str, name: str, num: int, engine: str = "mujoco") -> np.ndarray:
    """Which of the first ``num`` episodes succeed."""
    env = make_env(task, engine=engine, num_envs=num, threads=1)
    policy = make_policy(name, env.task, num)
    obs, info = env.reset(ids=np.arange(num)), {}
    policy.reset()
    for _ in range(env.max_steps):
        obs, _, _, _, info = env.step(policy.act(obs))
    env.close()
    return info["success"]


@pytest.mark.parametrize("task", ["arm-reach", "arm-track", "arm-press"])
def test_experts_solve_their_tasks(task: str) -> None:
    assert play(task, "expert", 100).mean() >= 0.97


@pytest.mark.parametrize("task", ["arm-reach", "arm-track", "arm-press"])
def test_experts_solve_their_tasks_in_the_other_engine(task: str) -> None:
    assert play(task, "expert", 12, "bullet").all()


@pytest.mark.parametrize("name", ["impedance", "pd-gravity", "pid"])
def test_the_others_reach_too(name: str) -> None:
    assert play("arm-reach", name, 50).mean() >= 0.95


@pytest.mark.parametrize(("task", "name"), [("arm-track", "impedance")])
def test_impedance_tracks(task: str, name: str) -> None:
    assert play(task, name, 50).mean() >= 0.95


@pytest.mark.parametrize("name", ["zero", "random"])
@pytest.mark.parametrize("task", ["arm-reach", "arm-track", "arm-press"])
def test_the_ignorant_do_not(task: str, name: str) -> None:
    assert play(task, name, 100).mean() < 0.05


def rollout(name: str, task: str, num: int, steps: int) -> np.ndarray:
    """Actions (steps, num, 2) of the first environments, one of which starts anew."""
    env = make_env(task, num_envs=num, threads=1)
    policy = make_policy(name, env.task, num, seed=3)
    obs, actions = env.reset(ids=np.arange(num)), []
    policy.reset()
    for step in range(steps):
        if step == steps // 2:
            policy.reset(np.arange(num) == 1)
        actions.append(policy.act(obs))
        obs = env.step(actions[-1])[0]
    env.close()
    return np.array(actions)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_each_policy_keeps_the_contract(name: str, task: str) -> None:
    """Shape, limits, and the same bits per environment in batches of 2 and many."""
    many, steps = (300, 40) if task.startswith("arm") else (24, 24)
    whole, few = (rollout(name, task, num, steps) for num in (many, 2))
    assert np.array_equal(whole[:, :2], few)
    policy = make_policy(name, make_task(task), 2)
    assert isinstance(policy, Policy)
    assert policy.control_dt == pytest.approx(make_task(task).control_dt)
    low, high = policy.action_spec.limits()
    assert whole.shape == (steps, many, policy.action_spec.size)
    assert (whole >= low).all() and (whole <= high).all()


@pytest.mark.parametrize("task", ["arm-reach", "arm-track"])
def test_computed_torque_is_a_function_of_the_observation(task: str) -> None:
    """So that a network without memory can imitate it."""
    env = make_env(task, num_envs=20, threads=1)
    policy = make_policy("computed-torque", env.task, 20)
    other = make_policy("computed-torque", env.task, 20)
    obs = env.reset()
    for _ in range(30):
        action = policy.act(obs)
        backwards = other.act({"state": obs["state"][::-1]})
        assert np.array_equal(backwards[::-1], action)
        obs = env.step(action)[0]


def test_reset_forgets_only_where_told() -> None:
    env = make_env("arm-reach", num_envs=2, threads=1)
    policy = make_policy("pid", env.task, 2)
    fresh = make_policy("pid", env.task, 2)
    obs = env.reset()
    for _ in range(20):
        obs = env.step(policy.act(obs))[0]
    policy.reset(np.array([True, False]))
    action, first = policy.act(obs), fresh.act(obs)
    assert np.array_equal(action[0], first[0])
    assert not np.array_equal(action[1], first[1])


def test_a_new_target_starts_a_new_movement() -> None:
    """Without a reset, as when a person drags the target."""
    env = make_env("arm-reach", num_envs=1, threads=1)
    policy = make_policy("impedance", env.task, 1)
    obs = env.reset(seed=4)
    policy.reset()
    for target in ([0.5, 0.2], [-0.1, 0.55]):
        for _ in range(250):
            obs["state"][:, 8:10] = target
            obs = env.step(policy.act(obs))[0]
        np.testing.assert_allclose(obs["state"][0, 6:8], target, atol=5e-3)
    env.close()


def test_random_draws_follow_seed_episode_and_identity() -> None:
    task, obs = make_task("arm-reach"), {"state": np.zeros((4, 10))}
    one, two, other = (make_policy("random", task, 4, seed=s) for s in (0, 0, 1))
    first = one.act(obs)
    assert np.array_equal(first, two.act(obs))
    assert not np.array_equal(first, other.act(obs))
    assert not np.array_equal(first, one.act(obs))
    one.reset(np.array([True, False, False, False]))
    two.reset()
    assert not np.array_equal(one.act(obs)[0], first[0])
    late = make_policy("random", task, 2, seed=0)
    late.ids = np.array([2, 3])  # type: ignore[attr-defined]
    assert np.array_equal(late.act({"state": np.zeros((2, 10))}), first[2:])


def test_a_controller_says_which_tasks_it_is_for() -> None:
    with pytest.raises(UsageError) as caught:
        make_policy("computed-torque", make_task("arm-press"), 1)
    message = str(caught.value)
    assert "needs target_x, target_z in the observation" in message
    assert "is for arm-reach, arm-track" in message
    assert "expert of 'arm-press' is 'impedance'" in message


def test_wrong_observations_are_refused() -> None:
    policy = make_policy("computed-torque", make_task("arm-reach"), 2)
    with pytest.raises(UsageError, match=r"of shape \(2, 10\), got \(3, 10\)"):
        policy.act({"state": np.zeros((3, 10))})


def test_unknown_names_and_missing_folders() -> None:
    task = make_task("arm-reach")
    with pytest.raises(UsageError, match="Did you mean 'impedance'"):
        make_policy("impedence", task, 1)
    with pytest.raises(UsageError, match="no checkpoint at 'runs/none'"):
        make_policy("runs/none", task, 1)
    with pytest.raises(UsageError, match="no checkpoint at 'none'"):
        make_policy(Path("none"), task, 1)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    task = make_task("arm-reach")
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    with pytest.raises(
        UsageError, match="is a file; a checkpoint is given as its folder"
    ):
        make_policy(str(file), task, 1)
    with pytest.raises(UsageError, match=r"has no config\.json"):
        make_policy(str(tmp_path), task, 1)
    config = tmp_path / "config.json"
    for text in ('{"policy": "bcc"}', "{}", "[]"):
        config.write_text(text)
        with pytest.raises(UsageError, match="unknown kind of policy"):
            make_policy(str(tmp_path), task, 1)
    for damaged in (b'{"policy": "b', b"\xff\xfe\x00"):
        config.write_bytes(damaged)
        with pytest.raises(SandbotError, match="cannot read") as caught:
            make_policy(str(tmp_path), task, 1)
        assert not isinstance(caught.value, UsageError)


def test_a_checkpoint_is_loaded_by_its_kind(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "config.json").write_text('{"policy": "mine"}')
    (tmp_path / "its_module.py").write_text(
        "def load(folder, task, num_envs, device, seed, execution):\n"
        "    return folder.name, task.name, num_envs, device, seed\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(policies.CHECKPOINTS, "mine", "its_module")
    made = make_policy(tmp_path, make_task("arm-reach"), 7, 3, device="auto")
    assert made == (tmp_path.name, "arm-reach", 7, "auto", 3)


def test_importing_the_registry_is_light() -> None:
    code = (
        "import sys, policies; print(any(m in sys.modules for m in "
        "('torch', 'mujoco', 'pybullet', 'gymnasium', 'matplotlib', 'numpy')))"
    )
    root = Path(policies.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", POLICIES)
def test_each_entry_has_its_line(name: str) -> None:
    entry = POLICIES[name]
    assert 0 < len(entry.description) <= 72 and "\n" not in entry.description
