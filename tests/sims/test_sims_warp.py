"""The engine ``warp`` on Warp's CPU back end, against ``mujoco`` and itself."""

import subprocess
import sys
from typing import Any

import mujoco
import numpy as np
import pytest

from assets import UsageError, load_model
from sims import make_env
from sims.engine import FIELDS, Engine, EngineError, default_field
from sims.engines.mujoco import MujocoEngine
from sims.engines.warp import WarpEngine
from sims.engines.warp_buffers import Need, _postures, bound
from sims.engines.warp_fields import DERIVED
from sims.engines.warp_worlds import Worlds
from tests.sims.warp_scenes import walker

SCENES = {
    "arm": lambda: load_model("arm", "wall"),
    "walker": walker,
    "humanoid": lambda: load_model("humanoid", "flat"),
}
PRESSED = np.array([-1.05, 2.1, 0.0])
"""Posture of the arm before the wall, about to touch it [rad, m]."""


def everywhere(engine: Engine) -> np.ndarray:
    return np.ones(engine.num_envs, bool)


def start(engine: Engine) -> None:
    """In a posture with contact, or from which there is contact soon."""
    model = engine.model
    qpos = model.key_qpos[0] if model.nkey else model.qpos0
    qpos = PRESSED if model.nq == 3 else qpos
    engine.reset(everywhere(engine), qpos, np.zeros(model.nv))


def command(engine: Engine, step: int) -> None:
    """A slow wave, other for each environment, small beside the motors' limits, about
    the posture of the first keyframe."""
    phase = 0.05 * step + np.arange(engine.model.nu)
    each = 1 + 0.1 * np.arange(engine.num_envs)[:, None]
    wave = 0.1 * np.sin(phase) * each
    if engine.model.nkey:  # it stands, and shall go on standing
        wave = 0.1 * wave + engine.model.key_ctrl[0]
    engine.ctrl[:] = wave if isinstance(engine.ctrl, np.ndarray) else torch_of(wave)


def torch_of(values: np.ndarray) -> Any:
    import torch

    return torch.as_tensor(values)


def play(engine: Any, steps: int) -> np.ndarray:
    """(steps, num_envs, nq) the positions on the way."""
    start(engine)
    path = []
    for step in range(steps):
        command(engine, step)
        engine.step(1)
        path.append(np.asarray(engine.qpos).copy())
    return np.array(path)


@pytest.mark.parametrize("scene", SCENES)
def test_steps_are_those_of_mujoco(scene: str) -> None:
    """Alone over 400 steps, and one step at a time from the same states."""
    model = SCENES[scene]()
    reference, engine = MujocoEngine(model, 2, threads=1), WarpEngine(model, 2)
    single = WarpEngine(model, 2)
    for each in (reference, engine):
        start(each)
    apart, off, speed = 0.0, 0.0, 0.0
    for step in range(400):
        if step % 10 == 0:
            single.reset(everywhere(single), reference.qpos, reference.qvel)
        for each in (reference, engine, single):
            command(each, step)
            each.step(1)
        apart = max(apart, np.abs(engine.qpos - reference.qpos).max())
        if step % 10 == 0 and scene != "walker":  # whose motors remember
            off = max(off, np.abs(single.qvel - reference.qvel).max())
            speed = max(speed, np.abs(reference.qvel).max())
    assert apart < 1e-5
    assert off < 1e-4
    assert scene == "walker" or speed > 0.05
    for index in range(model.nsensor):
        name = model.sensor(index).name
        wanted = reference.sensor(name)
        close = 0.02 if "contact" in name or name == "push" else 1e-3  # N, m/s2
        assert engine.sensor(name) == pytest.approx(wanted, abs=close), name


def test_frames_are_those_of_mujoco() -> None:
    """A site, a geom and a body of a free body that turns."""
    model = walker()
    random = np.random.default_rng(0)
    qpos = np.tile(model.qpos0, (3, 1))
    qpos[:, 3:7] = random.normal(size=(3, 4))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    qpos[:, 2] += 2
    engines = MujocoEngine(model, 3, threads=1), WarpEngine(model, 3)
    for engine in engines:
        engine.reset(everywhere(engine), qpos, random.normal(size=model.nv) * 0 + 1)
    for frame in ("imu", "left_foot", "right_shank", "step"):
        wanted, found = (e.pose(frame) for e in engines)
        assert found[0] == pytest.approx(wanted[0], abs=1e-6)
        turn = np.abs((found[1] * wanted[1]).sum(axis=1))
        assert turn == pytest.approx(np.ones(3), abs=1e-6)
        for what in ("velocity", "jacobian"):
            wanted, found = (getattr(e, what)(frame) for e in engines)
            assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("field", FIELDS)
def test_fields_act_as_in_mujoco(field: str) -> None:
    """Two worlds of three vary; all go the way of ``mujoco`` from there."""
    model = walker()
    engines = MujocoEngine(model, 3, threads=1), WarpEngine(model, 3)
    default = default_field(model, field)
    factor = np.array([1.0, 0.8, 0.9]).reshape(3, *[1] * default.ndim)
    if field == "geom_size":
        box = model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
        factor = np.where(box[:, None], factor, 1.0)
    if field == "body_pos":  # the step comes under the feet
        factor = np.where((np.arange(model.nbody) == 1)[:, None], factor - 1, 0) + 1
        moved = np.zeros((3, model.nbody, 3))
        moved[1:, 1, 0] = -0.55
        values = default * factor + moved
    elif field == "body_iquat":
        half = 2 * (1 - factor[:, 0])  # of the turn about x
        values = np.zeros((3, model.nbody, 4))
        for row, angle in zip(values, half, strict=True):
            turn = np.array([*np.cos(angle), *np.sin(angle), 0.0, 0.0])
            for body, nominal in enumerate(default):  # the simple ones stay
                own = turn if not model.body_simple[body] else np.eye(4)[0]
                mujoco.mju_mulQuat(row[body], nominal, own)
    elif field == "actuator_forcerange":  # so that it is reached
        values = default * factor**8
    else:
        values = default * factor
    for engine in engines:
        engine.set_field(field, values, np.array([False, True, True]))
        start(engine)
        engine.ctrl[:] = [0.5, -0.5, -0.5, 0.5]
        engine.step(30)
    reference, engine = engines
    assert engine.qvel == pytest.approx(reference.qvel, abs=2e-3)
    assert np.array_equal(engine.get_field(field), reference.get_field(field))
    plain = WarpEngine(model, 3)
    start(plain)
    plain.ctrl[:] = [0.5, -0.5, -0.5, 0.5]
    plain.step(30)
    assert np.array_equal(plain.qpos[0], engine.qpos[0])
    inert = ("dof_frictionloss", "jnt_stiffness")
    assert np.array_equal(plain.qpos[1], engine.qpos[1]) == (field in inert)


@pytest.mark.parametrize("field", ["body_mass", "geom_friction", "opt.gravity"])
def test_rows_reach_a_device_as_they_reach_this_memory(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU gets the rows that change by a kernel, which runs here, too."""
    from sims.engines import warp_fields

    model = walker()
    random = np.random.default_rng(0)
    default = default_field(model, field)
    where = np.array([True, False, True])
    values = default * random.uniform(0.5, 1.0, (3, *[1] * default.ndim))
    held = []
    for write in (warp_fields._write_rows, warp_fields.send_rows):
        monkeypatch.setattr(warp_fields, "_write_rows", write)
        engine = WarpEngine(model, 3)
        engine.set_field(field, values, where)
        placed = engine.worlds.model
        owner = placed.opt if field.startswith("opt.") else placed
        held.append(getattr(owner, field.removeprefix("opt.")).numpy().copy())
    np.testing.assert_array_equal(held[0], held[1])
    changed = (held[0] != held[0][1]).reshape(3, -1).any(axis=1)
    np.testing.assert_array_equal(changed, where)


def test_constants_follow_fields() -> None:
    model = walker()
    engine = WarpEngine(model, 2)
    mass = model.body_mass * 2
    engine.set_field("body_mass", mass, np.array([False, True]))
    engine.forward()
    for name in ("dof_invweight0", "body_invweight0", "actuator_acc0"):
        row = getattr(engine.worlds.model, name).numpy()
        nominal = getattr(model, name)
        assert row[0] == pytest.approx(nominal, rel=1e-6)
        varied = getattr(engine.snapshot(1)[0], name)
        assert row[1] == pytest.approx(varied, rel=1e-4)
        assert not np.allclose(varied, nominal, rtol=1e-2)


@pytest.mark.parametrize("scene", ["arm", "walker"])
def test_graphs_do_what_launches_do(
    scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits, in the state and in each derived constant of each world."""
    model = SCENES[scene]()

    def run() -> tuple[np.ndarray, dict[str, np.ndarray]]:
        engine = WarpEngine(model, 3)
        engine.set_field("body_mass", model.body_mass * 1.3, np.arange(3) == 1)
        path = play(engine, 15)
        placed = engine.worlds.model
        return path, {name: getattr(placed, name).numpy() for name in DERIVED}

    path, constants = run()
    monkeypatch.setattr(Worlds, "launch", lambda self, work: getattr(self, work)())
    plain_path, plain_constants = run()
    np.testing.assert_array_equal(path, plain_path)
    for name, values in constants.items():
        np.testing.assert_array_equal(values, plain_constants[name], name)
        nominal = np.float32(getattr(model, name)).reshape(values.shape[1:])
        for untouched in (0, 2)[: len(values)]:
            np.testing.assert_array_equal(values[untouched], nominal, name)


@pytest.mark.parametrize("scene", ["arm", "walker"])
def test_bits_do_not_depend_on_the_other_worlds(scene: str) -> None:
    model = SCENES[scene]()
    many = play(WarpEngine(model, 5), 60)
    np.testing.assert_array_equal(many, play(WarpEngine(model, 5), 60))
    fewer = play(WarpEngine(model, 2, nconmax=30), 60)
    np.testing.assert_array_equal(many[:, :2], fewer)


@pytest.mark.parametrize("arrays", ["torch", "mirror"])
def test_other_arrays_show_the_same(arrays: str) -> None:
    """Tensors without a copy, and what stands for them on the host of a GPU."""
    model = walker()
    plain, other = WarpEngine(model, 3), WarpEngine(model, 3, arrays=arrays)
    np.testing.assert_array_equal(play(plain, 40), play(other, 40))
    push = np.array([5.0, 0, 1, 0, 0, 0])
    for engine in (plain, other):
        engine.apply_wrench("torso", push, np.array([True, False, True]))
        engine.set_field("body_mass", model.body_mass * 1.2, np.array([1, 1, 0], bool))
        engine.step(5)
        saved = engine.save()
        engine.step(5)
        engine.load(saved, np.array([False, True, False]))
        engine.step(3)
    for frame in ("torso", "imu"):
        for what in ("velocity", "jacobian"):
            wanted, found = (getattr(e, what)(frame) for e in (plain, other))
            assert np.asarray(found) == pytest.approx(wanted, abs=1e-6)
        assert np.asarray(other.pose(frame)[1]) == pytest.approx(plain.pose(frame)[1])
    for array in ("qpos", "qvel", "ctrl"):
        np.testing.assert_array_equal(getattr(other, array), getattr(plain, array))
    np.testing.assert_array_equal(other.sensor("push"), plain.sensor("push"))
    assert other.snapshot(2)[1].qpos.tolist() == plain.snapshot(2)[1].qpos.tolist()


def test_tensors_are_warps_memory() -> None:
    import torch

    engine = WarpEngine(load_model("arm", "free"), 2, arrays="torch")
    assert isinstance(engine.qpos, torch.Tensor)
    assert engine.qpos.data_ptr() == engine.worlds.data.qpos.ptr
    where = torch.tensor([True, False])
    engine.reset(where, torch.tensor([0.4, 0.9]), torch.zeros(2, 2))
    assert engine.qpos[0].tolist() == pytest.approx([0.4, 0.9])
    assert engine.qpos[1].tolist() == [0, 0]
    assert engine.pose("tip")[0].shape == (2, 3)
    assert isinstance(engine.jacobian("tip"), torch.Tensor)
    engine.set_field("body_mass", torch.full((2, 1), 2.0), where)
    assert engine.get_field("body_mass")[0].tolist() == [2.0] * engine.model.nbody
    engine.step(2)
    assert engine.diverged().tolist() == [False, False]


def test_a_broken_world_holds_up_no_other() -> None:
    model = walker()
    engine, plain = WarpEngine(model, 3), WarpEngine(model, 3)
    for each in (engine, plain):
        start(each)
    engine.qvel[1, 3] = np.nan
    for each in (engine, plain):
        each.step(10)
    assert engine.diverged().tolist() == [False, True, False]
    assert np.isfinite(engine.qpos).all() and np.isfinite(engine.sensor("push")).all()
    np.testing.assert_array_equal(engine.qpos[[0, 2]], plain.qpos[[0, 2]])
    saved = engine.save()
    engine.reset(everywhere(engine), model.qpos0, np.zeros(model.nv))
    assert not engine.diverged().any()
    engine.load(saved, everywhere(engine))
    assert engine.diverged().tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"nconmax": 3}, 'nconmax, contacts .*<numeric name="warp_nconmax" data='),
        ({"njmax": 7}, "njmax, the constraint rows .* 7 rows; 24 rows of one world"),
    ],
)
def test_overflow_is_an_error(sizes: dict[str, Any], words: str) -> None:
    engine = WarpEngine(walker(height=0.7), 2, **sizes)
    start(engine)
    engine.step(5)
    standing = engine.model.qpos0.copy()
    standing[2] = 0.514
    with pytest.raises(EngineError, match=words):
        engine.reset(everywhere(engine), standing, np.zeros(engine.model.nv))
    with pytest.raises(EngineError, match="overflowed"):  # it is not forgotten
        engine.step(1)
    with pytest.raises(EngineError, match="overflowed"):
        engine.save()
    with pytest.raises(EngineError, match=words):  # where it starts like that
        WarpEngine(walker(), 2, **sizes)


def test_room_is_found_by_a_warm_up_pass() -> None:
    """As much as the worlds want that fall from anywhere, and a margin."""
    engine = WarpEngine(walker(rest=""), 8)
    most = engine.worlds.buffers.naconmax / 8
    assert 24 < most < bound(engine.model, 10).contacts
    assert 40 < engine.worlds.buffers.njmax < bound(engine.model, 10).rows
    random = np.random.default_rng(5)
    qpos = np.tile(engine.model.qpos0, (8, 1))
    qpos[:, 3:7] = random.normal(size=(8, 4))
    qpos[:, 3:7] /= np.linalg.norm(qpos[:, 3:7], axis=1, keepdims=True)
    engine.reset(everywhere(engine), qpos, np.zeros(engine.model.nv))
    for _ in range(50):
        engine.ctrl[:] = random.uniform(-1, 1, (8, 4))
        engine.step(4)
    engine.check()
    rows = engine.worlds.overflow.numpy()[1]
    assert engine.worlds.buffers.njmax / 4 < rows < engine.worlds.buffers.njmax


def test_the_scene_says_how_much_room_there_is() -> None:
    engine = WarpEngine(walker(), 3)
    assert (engine.worlds.buffers.naconmax, engine.worlds.buffers.njmax) == (126, 112)


def test_room_is_bounded_by_geometry() -> None:
    """Pairs times eight contacts of three rows, and four joints with two limits."""
    assert bound(walker(), 5) == Need(contacts=40, rows=128, crowd=40)


def test_postures_of_the_warm_up_are_within_limits() -> None:
    model = walker()
    postures = _postures(model, np.random.default_rng(0))
    assert np.linalg.norm(postures[:, 3:7], axis=1) == pytest.approx(np.ones(32))
    assert np.abs(postures[:, 7:]).max() <= 1.2
    assert np.ptp(postures[16:, 7:], axis=0).min() > 1.5


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ('<option solver="PGS"/>', "solver PGS.*Newton.*'mujoco'"),
        ('<option><flag sleep="enable"/></option>', "sleep"),
        ('<option solver="CG"/>', ""),
    ],
)
def test_what_warp_lacks_is_one_error(option: str, words: str) -> None:
    model = walker(option)
    if words:
        with pytest.raises(EngineError, match=words):
            WarpEngine(model, 1)
    else:
        reference = play(MujocoEngine(model, 1), 40)
        assert play(WarpEngine(model, 1), 40) == pytest.approx(reference, abs=1e-4)


def test_what_mujoco_warp_refuses_is_one_error() -> None:
    links = '<body pos="0 0 .1"><joint axis="0 1 0"/><geom size=".01"/>' * 61
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><option jacobian="dense"/><worldbody>{links}{"</body>" * 61}'
        "</worldbody></mujoco>"
    )
    with pytest.raises(EngineError, match=r"cannot run this scene: Dense .*'mujoco'"):
        WarpEngine(model, 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"device": "cuda:7"}, "no device 'cuda:7'.*cpu"),
        ({"arrays": "jax"}, "unknown kind of arrays 'jax'"),
        ({"nconmax": 0}, "nconmax must be at least 1"),
    ],
)
def test_bad_choices_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        WarpEngine(load_model("arm", "free"), 1, **given)


def test_without_mujoco_warp_the_way_out_is_named() -> None:
    """And everything else works: the other engines do not ask for it."""
    code = (
        "import sys; sys.modules['warp'] = sys.modules['mujoco_warp'] = None\n"
        "from sims import make_env\n"
        "make_env('arm-reach', num_envs=1).reset()\n"
        "make_env('arm-reach', engine='warp', num_envs=1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "EngineError" in last and "pip install 'mujoco-warp==4.0.*'" in last


def test_warp_is_not_imported_for_nothing() -> None:
    code = "import sys, sims.registry, sims.engines; sys.exit('warp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("task", ["arm-reach", "arm-track", "arm-press"])
def test_tasks_run_unchanged(task: str) -> None:
    """The same loop in ``mujoco`` and ``warp``, physics of the training profile."""
    paths = []
    for engine in ("mujoco", "warp"):
        env = make_env(task, engine=engine, num_envs=3, randomize="train", seed=4)
        seen = env.reset()["state"]
        path = []
        for _ in range(50):
            torque = [12 * seen[:, 0] - seen[:, 4], 2 * seen[:, 1] - 0.3 * seen[:, 5]]
            obs, reward, *_ = env.step(np.stack(torque, axis=1))
            seen = obs["state"]
            path.append(np.concatenate([seen, reward[:, None]], axis=1))
        env.close()
        paths.append(path)
    assert np.array(paths[1]) == pytest.approx(np.array(paths[0]), abs=2e-4)


def test_an_environment_goes_on_with_the_same_bits() -> None:
    """Randomised physics, delays, resets at other times: saved and loaded."""
    env = make_env(
        "arm-press", engine="warp", num_envs=3, randomize="train", autoreset=True
    )
    obs = env.reset()
    env.state.steps[:] = [0, env.max_steps - 45, env.max_steps - 20]

    def run(steps: int, obs: dict[str, np.ndarray]) -> np.ndarray:
        path = []
        for _ in range(steps):
            seen = obs["state"]
            torque = [12 * seen[:, 0] - seen[:, 4], 2 * seen[:, 1] - 0.3 * seen[:, 5]]
            obs, reward, *_ = env.step(np.stack(torque, axis=1))
            path.append(np.concatenate([obs["state"], reward[:, None]], axis=1))
        return np.array(path)

    run(30, obs)
    saved = env.save()
    seen = env.load(saved)
    first = run(30, seen)
    np.testing.assert_array_equal(run(30, env.load(saved)), first)
    env.close()
