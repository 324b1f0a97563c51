"""Chunks of actions: what is executed when, what is learned, and from which groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from assets.errors import UsageError
from ml.samples import Chunks
from ml.spec import ArraySpec
from ml.training_setup import TrainingConfig
from policies import make_policy
from policies.bc import BCConfig
from policies.chunks import ChunkQueue
from policies.collect import collect
from policies.imitation import train
from policies.inputs import Inputs
from sims import make_env, make_task


def test_each_environment_executes_its_own_chunk() -> None:
    queue = ChunkQueue(2, chunk=4, execute=3, size=1)
    assert queue.due.all()
    first = np.arange(8.0).reshape(2, 4, 1)
    queue.put(np.ones(2, bool), first)
    assert [queue.take().ravel().tolist() for _ in range(2)] == [[0, 4], [1, 5]]
    queue.reset(np.array([False, True]))
    assert queue.due.tolist() == [False, True]
    queue.put(queue.due, first[:1] + 10)
    assert queue.take().ravel().tolist() == [2, 10]
    assert queue.due.tolist() == [True, False]


@pytest.mark.parametrize("execute", [0, 5])
def test_a_chunk_cannot_be_executed_beyond_its_end(execute: int) -> None:
    with pytest.raises(UsageError, match=f"1 to 4 to execute, got {execute}"):
        ChunkQueue(1, chunk=4, execute=execute, size=1)


def test_chunks_end_with_their_episode() -> None:
    actions = np.arange(5.0)[:, None]
    chunks = Chunks(actions, actions, np.array([3, 2]), chunk=3)
    batch = chunks.gather(torch.arange(5))
    assert batch["targets"][:, :, 0].tolist() == [
        [0, 1, 2],
        [1, 2, 2],
        [2, 2, 2],
        [3, 4, 4],
        [4, 4, 4],
    ]
    assert batch["counts"].sum(1).tolist() == [3, 2, 1, 2, 1]


SPECS = {
    "state": ArraySpec(shape=(2,), names=("q", "vel_q")),
    "environment_state": ArraySpec(shape=(1,), names=("cube_x",)),
    "images.top": ArraySpec(shape=(4, 4, 3), dtype="uint8"),
}


def test_inputs_are_the_vectors_on_end() -> None:
    inputs = Inputs.choose(SPECS, drop=("vel_",))
    assert inputs.names == ("q", "cube_x")
    rows = {"state": [[1, 2], [3, 4]], "environment_state": [[5], [6]]}
    assert inputs.gather(rows).tolist() == [[1, 5], [3, 6]]
    alone = Inputs.choose(SPECS, groups=("state",))
    assert alone.gather(rows).tolist() == [[1, 2], [3, 4]]
    assert Inputs.from_dict(inputs.to_dict(), inputs.names) == inputs


def test_what_is_for_a_critic_is_read_only_where_it_is_named() -> None:
    specs = SPECS | {"privileged": ArraySpec(shape=(1,), names=("friction",))}
    assert Inputs.choose(specs).names == ("q", "vel_q", "cube_x")
    groups = ("state", "privileged")
    assert Inputs.choose(specs, groups=groups).names == ("q", "vel_q", "friction")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"groups": ("images.top",)}, "group of vectors"),
        ({"groups": ("states",)}, "Did you mean"),
        ({"drop": ("qq",)}, "element of the observation to drop"),
        ({"groups": ("state",), "drop": ("q", "vel_")}, "nothing of the observation"),
    ],
)
def test_inputs_that_are_not_there(choice: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Inputs.choose(SPECS, **choice)


@pytest.mark.parametrize(
    "wrong",
    [{"chunk": 0}, {"chunk": 4, "execute": 5}, {"chunk": 2, "network": "lstm"}],
)
def test_chunks_that_make_no_policy(wrong: dict) -> None:
    with pytest.raises(UsageError, match="chunk"):
        BCConfig(**wrong)


def test_a_chunked_clone_of_both_hands(tmp_path: Path) -> None:
    """It reads both groups, looks every tenth step, and its bits are its own."""
    name = "aloha-transfer-cube"
    collect(name, "expert", episodes=4, out=tmp_path / "data", noise=0.0, threads=1)
    train(
        data=tmp_path / "data",
        task=name,
        out=tmp_path / "bc",
        config=BCConfig(
            hidden=(32,), chunk=20, execute=10, training=TrainingConfig(steps=50)
        ),
    )
    task = make_task(name)
    policy: Any = make_policy(tmp_path / "bc", task, 3)
    assert list(policy.obs_spec) == ["state", "environment_state"]
    env = make_env(name, num_envs=3, threads=1)
    obs = env.reset()
    lone = make_policy(tmp_path / "bc", task, 1)
    looks: list[int] = []
    look = policy._look
    policy._look = lambda *given: (looks.append(step), look(*given))
    for step in range(25):
        action = policy.act(obs)
        alone = lone.act({group: rows[1:2] for group, rows in obs.items()})
        assert np.array_equal(alone[0], action[1]), step
        obs = env.step(action)[0]
    assert looks == [0, 10, 20]
