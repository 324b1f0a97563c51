"""The engine ``warp`` with tensors, as on a GPU: the same worlds, and nobody waits."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from assets import UsageError
from sims import make_env
from sims.arrays import host
from sims.env import Env
from tests.sims.sync_watch import SyncWatch

NUM = 3


def worlds(arrays: str, task: str = "humanoid-walk", randomize: str = "train") -> Env:
    return make_env(
        task,
        engine="warp",
        arrays=arrays,
        num_envs=NUM,
        randomize=randomize,
        seed=3,
        autoreset=True,
    )


@pytest.fixture(scope="module")
def tensors() -> Iterator[Env]:
    env = worlds("torch")
    yield env
    env.close()


def actions(env: Env, steps: int) -> np.ndarray:
    """(steps, num_envs, n) at random; the first environment's are none, to stand."""
    low, high = env.action_spec.limits()
    random = np.random.default_rng(0)
    drawn = random.uniform(low, high, (steps, NUM, len(low))).astype(np.float32)
    drawn[:, 0] = 0.0
    return drawn


def test_worlds_are_those_of_numpy(
    tensors: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each on its own physics: a command's last bit grows where feet touch, until an
    episode begins. Ends and starts fall on the same steps."""
    plain = worlds("numpy")
    for env in (plain, tensors):
        monkeypatch.setattr(env, "max_steps", 25)
    ours, theirs = plain.reset(seed=3), tensors.reset(seed=3)
    ended = 0
    for action in actions(plain, 54):
        ours, reward, *ends, info = plain.step(action)
        theirs, reward_2, *ends_2, info_2 = tensors.step(torch.from_numpy(action))
        for end, end_2 in zip(ends, ends_2, strict=True):
            np.testing.assert_array_equal(host(end_2), end)
        np.testing.assert_allclose(host(reward_2), reward, atol=2e-4)
        np.testing.assert_allclose(host(theirs["state"]), ours["state"], atol=5e-3)
        np.testing.assert_array_equal(host(info_2["clipped"]), info["clipped"])
        ended += int((ends[0] | ends[1]).sum())
    assert ended >= 2 * NUM
    plain.close()


def test_a_step_waits_once(tensors: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    """And sends nothing, where no episode ends. Where one does, keys and masks travel,
    which nobody waits for."""
    monkeypatch.setattr(tensors, "max_steps", 8)
    tensors.reset(seed=3)
    moves = torch.from_numpy(actions(tensors, 20))
    quiet = ended = 0
    for action in moves:
        with SyncWatch() as watch:
            _, _, *ends, info = tensors.step(action)
        calls, places = zip(*(each.split(" at ") for each in watch.waits), strict=True)
        assert calls == ("cpu", "numpy") and len(set(places)) == 1, watch.waits
        assert places[0].startswith("env.py"), watch.waits
        if "final_obs" in info:
            ended += 1
        else:
            quiet += 1
            assert not watch.sends, watch.sends
        assert any(bool(end.any()) for end in ends) == ("final_obs" in info)
    assert quiet > 12 and ended > 1


def test_the_watch_sees_what_waits() -> None:
    values, mask = torch.arange(4.0), torch.tensor([True, False, True, False])
    waits: dict[str, Any] = {
        "bool": lambda: bool(mask.any()),
        "item": lambda: values[0].item(),
        "float": lambda: float(values[1]),
        "mask": lambda: values[mask],
        "write": lambda: values.__setitem__(mask, 0.0),
        "nonzero": mask.nonzero,
        "numpy": lambda: np.asarray(values),
        "list": lambda: values.tolist(),
    }
    sends: dict[str, Any] = {
        "tensor": lambda: torch.tensor([1.0]),
        "as_tensor": lambda: torch.as_tensor(np.ones(2)),
        "rows": lambda: values[[0, 2]],
        "array": lambda: values[np.array([0, 2])],
    }
    for name, call in waits.items():
        with SyncWatch() as watch:
            call()
        assert watch.waits, name
    for name, call in sends.items():
        with SyncWatch() as watch:
            call()
        assert watch.sends, name
    with SyncWatch() as watch:
        _ = (values * 2).clip(0, 1)[torch.arange(4)] + torch.where(mask, values, 0.0)
    assert not watch.waits and not watch.sends


def test_save_and_load(tensors: Env) -> None:
    """A step from a saved moment is that step again, from what is on the device."""
    first, second, third = torch.from_numpy(actions(tensors, 3))
    tensors.reset(seed=4)
    tensors.step(first)
    saved = tensors.save()
    wanted = tensors.step(second)
    tensors.step(third)
    tensors.load(saved)
    found = tensors.step(second)
    for name, values in wanted[0].items():
        torch.testing.assert_close(found[0][name], values, rtol=0, atol=0)
    torch.testing.assert_close(found[1], wanted[1], rtol=0, atol=0)


def test_an_action_that_is_not_finite(tensors: Env) -> None:
    tensors.reset()
    action = torch.zeros(NUM, 29)
    action[1, 3] = torch.nan
    with pytest.raises(UsageError, match="environment 1 is not finite"):
        tensors.step(action)
    with pytest.raises(UsageError, match="shape"):
        tensors.step(action[:, :5])


def test_engines_without_tensors() -> None:
    with pytest.raises(UsageError, match="'mujoco' are numpy, got 'torch'"):
        make_env("arm-reach", arrays="torch")
