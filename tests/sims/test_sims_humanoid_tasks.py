"""What the humanoid's tasks share: rewards, falls, what is seen, and the same bits."""

from typing import Any

import numpy as np
import pytest

from sims.draws import Draws
from sims.observation import PRIVILEGED
from sims.tasks.humanoid_feet import SIDES
from sims.tasks.humanoid_gait import SWING
from sims.tasks.humanoid_push import HumanoidPush
from sims.tasks.humanoid_sight import look
from sims.tasks.humanoid_stand import HumanoidStand
from sims.tasks.humanoid_walk import HumanoidWalk
from tests.sims.humanoid_motions import Posed, everywhere, make_env, started, still

TASKS = (HumanoidStand, HumanoidPush, HumanoidWalk)
ENGINES = ("mujoco", "bullet")


@pytest.mark.parametrize("make", TASKS)
def test_weights_sum_to_one_and_standing_is_all_a_stander_wants(make: Any) -> None:
    assert sum(make.weights.values()) == pytest.approx(1.0)
    env = started(make())
    terms = {n: getattr(env.task, f"term_{n}") for n in make.weights}
    assert env.task.name.startswith("humanoid")
    rewards = np.array([env.step(still(env))[1][0] for _ in range(50)])
    if make is HumanoidWalk:  # over a stride of the clock
        assert 0.3 < rewards[10:].mean() < 0.75, "who stands does not walk"
    else:
        assert rewards[9] > 0.97
    for term in terms.values():
        assert term.__doc__


def lean(env: Any) -> None:
    env.state.gravity[:] = [np.sin(0.3), 0, -np.cos(0.3)]


def sink(env: Any) -> None:
    env.state.height -= 0.1


def bend(joints: slice) -> Any:
    def change(env: Any) -> None:
        qpos = env.engine.qpos.copy()
        qpos[:, 7:][:, joints] += 0.6
        env.engine.reset(everywhere(env), qpos, np.zeros_like(env.engine.qvel))

    return change


def jump(env: Any) -> None:
    env.state.action[:] = env.state.previous + 0.3


def strain(env: Any) -> None:
    env.engine.ctrl[:] = env.task.posture + 0.3


def slide(env: Any) -> None:
    env.state.velocity[:] = [0.5, 0.0, 0.0]
    env.state.slips[:] = 0.5


def err(column: int) -> Any:
    def change(env: Any) -> None:
        env.state.error[:, column] = 1.0

    return change


def lift_wrongly(env: Any) -> None:
    env.state.phase[:] = np.pi / 2
    env.state.soles[:] = [0.0, SWING]


TERMS = {
    "upright": (HumanoidWalk, lean),
    "height": (HumanoidWalk, sink),
    "arms": (HumanoidWalk, bend(slice(15, None))),
    "legs": (HumanoidStand, bend(slice(12))),
    "smooth": (HumanoidWalk, jump),
    "effort": (HumanoidWalk, strain),
    "still": (HumanoidStand, slide),
    "velocity": (HumanoidWalk, err(0)),
    "turning": (HumanoidWalk, err(1)),
    "clock": (HumanoidWalk, lift_wrongly),
    "grip": (HumanoidWalk, slide),
}


@pytest.mark.parametrize("name", TERMS)
def test_each_term_is_1_at_its_best_and_falls_with_what_it_names(name: str) -> None:
    make, spoil = TERMS[name]
    env = started(make())
    env.engine.reset(everywhere(env), env.task.model.key_qpos, np.zeros(35))
    env.engine.ctrl[:] = env.engine.qpos[:, 7:]
    look(env.task, env.engine, env.state)
    if make is HumanoidWalk:
        env.state.error[:] = 0.0
        env.state.phase[:] = np.pi / 2
        env.state.soles[:] = [SWING, 0.0]
    term = getattr(env.task, f"term_{name}")
    assert term(env.engine, env.state)[0] == pytest.approx(1.0, abs=1e-3)
    spoil(env)
    assert 0 <= term(env.engine, env.state)[0] < 0.7


def test_every_weighted_term_has_been_spoilt() -> None:
    weighted = {name for make in TASKS for name in make.weights}
    assert weighted - {"alive"} == set(TERMS)


def test_leaning_by_60_degrees_is_a_fall() -> None:
    for angle, falls in ((58, False), (62, True), (-62, True)):
        for axis in (4, 5):

            def change(qpos: np.ndarray, axis: int = axis, angle: int = angle) -> None:
                qpos[3] = np.cos(np.radians(angle) / 2)
                qpos[axis] = np.sin(np.radians(angle) / 2)

            env = started(Posed(change))
            _, reward, terminated, _, info = env.step(still(env))
            assert terminated[0] == falls
            assert (reward[0] == 0) == falls
            assert info["outcomes"]["upright"][0] != falls


def test_a_low_pelvis_is_a_fall_and_stays_one() -> None:
    def change(qpos: np.ndarray) -> None:
        qpos[2] = height

    height = 0.41
    env = started(Posed(change))
    assert not env.step(still(env))[2][0]
    height = 0.39
    assert env.step(still(env))[2][0]
    height = 0.7
    _, reward, terminated, _, _ = env.step(still(env))
    assert terminated[0] and reward[0] == 0
    env.reset()
    assert not env.step(still(env))[2][0]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_seen_of_the_feet(engine: str) -> None:
    """Against MuJoCo's own kinematics, in a pose with tipped feet."""
    env = started(HumanoidWalk(), 2, engine=engine)
    rng = np.random.default_rng(0)
    qpos, qvel = env.engine.qpos.copy(), rng.normal(size=(2, 35))
    qpos[:, 7:19] += rng.uniform(-0.2, 0.2, (2, 12))
    qpos[:, 2] += 0.3
    env.engine.reset(everywhere(env), qpos, qvel)
    look(env.task, env.engine, env.state)
    for i in range(2):
        model, data = env.engine.snapshot(i)
        for side, name in enumerate(SIDES):
            sole = data.geom(f"{name}_sole")
            size = model.geom(f"{name}_sole").size
            corners = np.array(np.meshgrid(*[(-s, s) for s in size])).reshape(3, -1)
            lowest = (sole.xpos[:, None] + sole.xmat.reshape(3, 3) @ corners)[2].min()
            assert env.state.soles[i, side] == pytest.approx(lowest, abs=1e-9)
    assert not env.state.slips.any() and not env.state.standing.any()
    env.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_standing_robot_presses_with_its_weight(engine: str) -> None:
    env = started(HumanoidWalk(), 1, engine=engine)
    for _ in range(60):
        obs = env.step(still(env))[0][PRIVILEGED]
    names = env.obs_spec[PRIVILEGED].names
    force = {n: obs[0, i] for i, n in enumerate(names) if "force" in n}
    up = force["left_force_z"] + force["right_force_z"]
    assert up == pytest.approx(35 * 9.81, rel=0.02)
    assert env.state.standing.all()
    np.testing.assert_allclose(env.state.soles, 0, atol=2e-3)
    env.close()


def test_nothing_observed_depends_on_place_or_heading() -> None:
    """The same robot elsewhere, facing elsewhere."""
    env = started(HumanoidWalk(), 2)
    qpos, qvel = env.engine.qpos.copy(), env.engine.qvel.copy()
    for name in ("commands", "command", "phase"):
        getattr(env.state, name)[1] = getattr(env.state, name)[0]
    qpos[:, 7:] = qpos[0, 7:]
    qpos[0, 3:7], qpos[1, 3:7] = [1, 0, 0, 0], [np.cos(0.6), 0, 0, np.sin(0.6)]
    qpos[1, :2] += [3.0, -2.0]
    cos, sin = np.cos(1.2), np.sin(1.2)
    qvel[1, :2] = [
        cos * qvel[0, 0] - sin * qvel[0, 1],
        sin * qvel[0, 0] + cos * qvel[0, 1],
    ]
    env.engine.reset(everywhere(env), qpos, qvel)
    for _ in range(5):
        obs = env.step(still(env) + 0.1)[0]
    for group, values in obs.items():
        np.testing.assert_allclose(
            values[1], values[0], rtol=1e-6, atol=1e-6, err_msg=group
        )


@pytest.mark.parametrize("make", TASKS)
def test_bits_do_not_depend_on_the_batch(make: Any) -> None:
    def run(ids: np.ndarray) -> np.ndarray:
        env = make_env(make(curriculum=True), num_envs=len(ids), autoreset=True)
        env.reset(seed=2, ids=ids)
        path = []
        for k in range(120):
            draws = Draws(k, ids, np.zeros(len(ids), int))
            obs, reward, *_ = env.step(draws.uniform("action", -0.5, 0.5, (29,)))
            path.append(np.concatenate([*obs.values(), reward[:, None]], axis=1))
        env.close()
        return np.array(path)

    many = run(np.arange(16))
    for i in (0, 11):
        np.testing.assert_array_equal(run(np.array([i]))[:, 0], many[:, i])


@pytest.mark.parametrize("make", [HumanoidStand, HumanoidWalk])
def test_warp_sees_what_mujoco_sees(make: Any) -> None:
    """A few control steps from the same start, in single precision."""
    envs = [started(make(), 3, engine=name, seed=4) for name in ("mujoco", "warp")]
    for env in envs:
        if hasattr(env.state, "begins"):
            env.state.begins[:, 0] = 2
    for k in range(8):
        wave = 0.05 * np.sin(0.3 * k + np.arange(29))
        seen = [env.step(np.tile(wave, (3, 1)))[:2] for env in envs]
    (ours, reward), (theirs, other) = seen
    state, known = ours["state"], ours[PRIVILEGED]
    np.testing.assert_allclose(theirs["state"], state, atol=2e-3)
    np.testing.assert_allclose(theirs[PRIVILEGED], known, rtol=0.02, atol=2.0)
    np.testing.assert_allclose(other, reward, atol=2e-3)
    np.testing.assert_allclose(envs[1].state.soles, envs[0].state.soles, atol=1e-4)
    for env in envs:
        env.close()


def test_one_that_diverges_ends_and_the_others_go_on() -> None:
    """To the same bits as without it, and with nothing left of it."""
    envs = [started(HumanoidWalk(), 4, autoreset=True, seed=7) for _ in range(2)]
    speed = envs[0].engine.qvel.copy()
    speed[1] = 1e12
    envs[0].engine.qvel[:] = speed
    for k in range(10):
        steps = [env.step(still(env)) for env in envs]
        (obs, reward, terminated, *_), (expected, *_) = steps
        assert terminated.tolist() == [False, k == 0, False, False]
        for group, values in obs.items():
            assert np.isfinite(values).all()
            rows = [0, 2, 3]
            np.testing.assert_array_equal(values[rows], expected[group][rows])
    assert np.isfinite(reward).all() and envs[0].diverged_count == 1
