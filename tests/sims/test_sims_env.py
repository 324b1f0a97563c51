"""Environments: the same bits for any number of threads or environments."""

import mujoco
import numpy as np
import pytest

from assets import UsageError
from sims import TASKS, make_env
from sims.env import Env

STEPS = 80
ARM = [name for name in TASKS if name.startswith("arm-")]
"""Quick enough for hundreds of environments."""


def act(env: Env, obs: dict[str, np.ndarray]) -> np.ndarray:
    """A law of elementwise operations, in whatever the task's actions are: torques of
    the arm, else joint targets that keep still what is sensed, and a base at rest."""
    if env.task.robot == "arm":
        return torque(obs["state"])
    sensed = dict(zip(env.obs_spec["state"].names, obs["state"].T, strict=True))
    still = np.zeros(env.num_envs)
    return np.stack([sensed.get(name, still) for name in env.action_spec.names], 1)


def torque(obs: np.ndarray) -> np.ndarray:
    """A feedback law of elementwise operations: bits do not depend on the batch."""
    return np.stack(
        [12 * obs[:, 0] - obs[:, 4], 2 * obs[:, 1] - 0.3 * obs[:, 5]], axis=1
    )


def all_groups(obs: dict[str, np.ndarray]) -> np.ndarray:
    """(num_envs, n) a copy of all that is observed."""
    return np.concatenate(list(obs.values()), axis=1)


def trace(env: Env, rows: slice, ids: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """(steps, n, ...) observations and rewards of a closed loop, resets included."""
    obs = env.reset(seed=5, ids=ids)
    out = []
    for _ in range(steps):
        obs, reward, *_ = env.step(act(env, obs))
        out.append(np.concatenate([*obs.values(), reward[:, None]], axis=1)[rows])
    env.close()
    return np.array(out)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("randomize", ["none", "train"])
def test_bits_do_not_depend_on_environments_or_threads(
    task: str, randomize: str
) -> None:
    count, steps = (128, STEPS) if task in ARM else (9, 25)

    def run(num_envs: int, ids: np.ndarray, threads: int = 0) -> np.ndarray:
        env = make_env(task, num_envs=num_envs, randomize=randomize, threads=threads)
        return trace(env, slice(0, num_envs), ids, steps)

    many = run(count, np.arange(count), 2)
    np.testing.assert_array_equal(many, run(count, np.arange(count), 1))
    for i in (0, count // 2, count - 1):
        alone = run(1, np.array([i]))
        np.testing.assert_array_equal(alone[:, 0], many[:, i])


@pytest.mark.parametrize("randomize", ["none", "train"])
def test_bullet_bits_do_not_depend_on_environments(randomize: str) -> None:
    def make(num_envs: int) -> Env:
        return make_env(
            "arm-press", engine="bullet", num_envs=num_envs, randomize=randomize
        )

    many = trace(make(6), slice(0, 6), np.arange(6))
    alone = trace(make(1), slice(0, 1), np.array([4]))
    np.testing.assert_array_equal(alone[:, 0], many[:, 4])


@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_both_engines_meet_the_same_world(engine: str) -> None:
    """The same seed draws the same start, target and physics."""
    reference = make_env("arm-press", num_envs=3, randomize="train", seed=3)
    env = make_env("arm-press", num_envs=3, engine=engine, randomize="train", seed=3)
    reference.reset()
    env.reset()
    np.testing.assert_array_equal(env.engine.qpos, reference.engine.qpos)
    for field in ("body_mass", "body_pos", "jnt_stiffness", "geom_friction"):
        np.testing.assert_array_equal(
            env.engine.get_field(field), reference.engine.get_field(field)
        )
    env.close()


@pytest.mark.parametrize("task", TASKS)
def test_autoreset_starts_the_next_episode_in_the_same_step(task: str) -> None:
    env = make_env(task, num_envs=4, autoreset=True)
    obs = env.reset()
    first, still = all_groups(obs), act(env, obs)
    alone = 40 if env.task.expert else 5  # who knows nothing cannot keep it up for long
    skipped = 0 if task in ARM else env.max_steps - alone
    env.state.steps[:] = skipped
    for _ in range(env.max_steps - skipped - 1):
        _, _, _, truncated, info = env.step(still)
        assert not truncated.any()
        assert "final_obs" not in info
    obs, _, terminated, truncated, info = env.step(still)
    assert truncated.all()
    assert not terminated.any()
    assert (env.state.steps == 0).all()
    obs, last = all_groups(obs), all_groups(info["final_obs"])
    assert not np.array_equal(obs, last)
    assert not np.array_equal(obs, first), "the next episode is another one"
    ids = np.arange(4)
    np.testing.assert_array_equal(all_groups(env.reset(ids=ids)), first)
    np.testing.assert_array_equal(all_groups(env.reset()), obs)


def test_staggered_resets_leave_the_others_alone() -> None:
    """Environments whose episodes end at other times go on to the same bits."""
    env = make_env("arm-reach", num_envs=8, autoreset=True, seed=2)
    env.reset()
    env.state.steps[:] = np.arange(8) * 50
    other = make_env("arm-reach", num_envs=8, seed=2)
    other.reset()
    for _ in range(45):
        obs = env.step(torque(env.task.observe(env.engine, env.state)["state"]))[0]
        ref = other.step(
            torque(other.task.observe(other.engine, other.state)["state"])
        )[0]
    for _ in range(10):
        obs = env.step(torque(obs["state"]))[0]
        ref = other.step(torque(ref["state"]))[0]
    assert not np.array_equal(obs["state"][7], ref["state"][7])
    np.testing.assert_array_equal(obs["state"][:7], ref["state"][:7])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("engine", ["mujoco", "bullet"])
def test_save_and_load_continue_with_the_same_bits(task: str, engine: str) -> None:
    before, after = (70, 60) if task in ARM else (15, 15)
    env = make_env(task, engine=engine, num_envs=3, randomize="train")
    obs = env.reset()
    for _ in range(before):
        obs = env.step(act(env, obs))[0]
    saved, start = env.save(), all_groups(obs)
    paths = []
    for _ in range(2):
        path = []
        for _ in range(after):
            obs, reward, *_ = env.step(act(env, obs))
            path.append((all_groups(obs), reward))
        paths.append(path)
        obs = env.load(saved)
        np.testing.assert_array_equal(all_groups(obs), start)
    for (a, ra), (b, rb) in zip(*paths, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(ra, rb)
    env.close()


def test_a_diverged_environment_ends_and_the_others_go_on() -> None:
    env = make_env("arm-reach", num_envs=3, autoreset=True)
    ref = make_env("arm-reach", num_envs=3, autoreset=True)
    env.reset()
    ref.reset()
    speed = env.engine.qvel.copy()
    speed[1] = 1e12
    env.engine.qvel[:] = speed
    zero = np.zeros((3, 2))
    _, reward, terminated, _, info = env.step(zero)
    ref.step(zero)
    assert terminated.tolist() == [False, True, False]
    assert info["diverged"].tolist() == [False, True, False]
    assert reward[1] == 0
    assert env.diverged_count == 1
    for _ in range(20):
        obs = env.step(zero)[0]["state"]
        expected = ref.step(zero)[0]["state"]
    np.testing.assert_array_equal(obs[[0, 2]], expected[[0, 2]])
    assert np.isfinite(obs).all()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros((2, 3)), r"shape \(2, 2\).*torque_shoulder.*got \(2, 3\)"),
        (np.zeros(2), r"shape \(2, 2\).*got \(2,\)"),
        (np.array([[0, 0], [0, np.nan]]), "environment 1 is not finite"),
        (np.array([[np.inf, 0], [0, 0]]), "environment 0 is not finite"),
    ],
)
def test_bad_actions_are_refused(action: np.ndarray, message: str) -> None:
    env = make_env("arm-reach", num_envs=2)
    env.reset()
    with pytest.raises(UsageError, match=message):
        env.step(action)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "arm-reech"}, "unknown task 'arm-reech'. Did you mean 'arm-reach'"),
        ({"engine": "bulet"}, "unknown engine 'bulet'. Did you mean 'bullet'"),
        ({"randomize": "gpa"}, "unknown randomisation of 'arm-reach' 'gpa'.*'gap'"),
        ({"num_envs": 0}, "num_envs must be at least 1, got 0"),
        ({"threads": -1, "num_envs": 2}, "threads must be 0"),
        ({"seed": "7"}, "a seed is an integer"),
    ],
)
def test_bad_names_and_numbers_are_refused(given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_env(given.pop("task", "arm-reach"), **given)


def test_ids_name_every_environment() -> None:
    with pytest.raises(UsageError, match="each of the 2 environments"):
        make_env("arm-reach", num_envs=2).reset(ids=np.arange(3))


def test_physics_is_a_plain_loop_of_mj_step() -> None:
    """The batch against MuJoCo's own step, the independent reference."""
    env = make_env("arm-press", num_envs=2, seed=4)
    env.reset()
    model, data = env.engine.snapshot(1)
    data = mujoco.MjData(model)
    data.qpos[:] = env.engine.qpos[1]
    data.qvel[:] = env.engine.qvel[1]
    for k in range(120):
        action = np.full((2, 2), [3.0 * np.sin(0.1 * k), 1.0])
        env.step(action)
        data.ctrl[:] = action[1]
        mujoco.mj_step(model, data, env.task.substeps)
    np.testing.assert_array_equal(env.engine.qpos[1], data.qpos)
    np.testing.assert_array_equal(env.engine.qvel[1], data.qvel)
