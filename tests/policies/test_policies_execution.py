"""What is executed when: by a network that says at which step it looked."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ml.spec import ArraySpec
from policies.bc import BCConfig
from policies.execution import Execution
from policies.imitation.net import Ahead, ImitationNet, Seen, Sizes
from policies.imitation.policy import ImitationPolicy
from policies.inputs import Inputs

CHUNK = 8
TIME = {"state": ArraySpec(shape=(1,), names=("t",))}
ACTION = ArraySpec(shape=(1,), names=("a",))


class Telling(ImitationNet):
    """Predicts 100 t + k as the action of k steps later, t read from its input."""

    guided = True

    def __init__(self, execute: int) -> None:
        config = BCConfig(chunk=CHUNK, execute=execute)
        super().__init__(Sizes(groups={"state": 1}, outputs=1), config)
        self.told: list[Ahead | None] = []

    def predict(
        self, seen: Seen, memory: Tensor, noise: Tensor, ahead: Ahead | None, **how: Any
    ) -> tuple[Tensor, Tensor]:
        self.told.append(ahead)
        later = torch.arange(CHUNK)[None, :, None]
        return 100 * seen.inputs[:, :1, None] + later, memory


def play(
    steps: int, execute: int = 3, num_envs: int = 1, cut: int | None = None, **how: Any
) -> tuple[list[list[int]], Telling]:
    """What each environment does; the first begins anew at ``cut``."""
    net = Telling(execute)
    policy = ImitationPolicy(
        net,
        inputs=Inputs.choose(TIME),
        action_spec=ACTION,
        control_dt=0.02,
        num_envs=num_envs,
        execution=Execution(**how),
    )
    done = []
    for t in range(steps):
        if t == cut:
            policy.reset(np.arange(num_envs) == 0)
        obs = {"state": np.full((num_envs, 1), t, np.float32)}
        done.append(np.asarray(policy.act(obs))[:, 0])
    return np.stack(done, 1).astype(int).tolist(), net


def test_a_chunk_is_executed_from_the_look_it_was_made_at() -> None:
    done, net = play(8)
    assert done == [[0, 1, 2, 300, 301, 302, 600, 601]]
    assert len(net.told) == 3 and net.told == [None] * 3


def test_a_late_chunk_takes_over_where_it_is_by_then() -> None:
    """The first is waited for; of the next the first two actions are past, and those
    of the chunk before were executed in their place."""
    done, _ = play(12, delay=2)
    first, second = [0, 1, 2, 3, 4], [302, 303, 304]
    assert done == [[*first, *second, 602, 603, 604, 902]]


def test_more_can_be_executed_than_the_checkpoint_says() -> None:
    assert play(9, execute=3, delay=0)[0] != play(9, execute=6)[0]
    done, _ = play(9, execute=6, delay=2)
    assert done == [[0, 1, 2, 3, 4, 5, 6, 7, 602]]


def test_an_episode_that_begins_anew_waits_again_and_alone() -> None:
    done, _ = play(9, num_envs=2, cut=4, delay=1)
    assert done[1] == [0, 1, 2, 3, 301, 302, 303, 601, 602]
    assert done[0] == [0, 1, 2, 3, 400, 401, 402, 403, 701]


def test_every_look_counts_when_ensembled() -> None:
    """Equal weights: the mean of 100 (t - j) + j over what there is."""
    done, net = play(12, ensemble=0.0)
    for t, action in enumerate(done[0]):
        there = [100 * (t - j) + j for j in range(min(t + 1, CHUNK))]
        assert action == pytest.approx(np.mean(there), abs=1)
    assert len(net.told) == 12


def test_a_real_time_chunk_is_told_what_goes_on_meanwhile() -> None:
    """What is planned from the look on; sure for the delay, then less and less, and
    nothing where the plan ends."""
    _, net = play(6, delay=2, real_time=True)
    beginning, ahead = net.told
    assert beginning is not None and not beginning.weights.any()
    assert ahead is not None
    assert ahead.actions[0, :, 0].tolist() == [3, 4, 5, 6, 7, 7, 7, 7]
    weights = ahead.weights[0].numpy()
    assert (weights[:2] == 1).all() and (weights[5:] == 0).all()
    assert (np.diff(weights[1:6]) < 0).all()
    # Black, Galliker and Levine 2025, equation 5, with d = 2 and H - s = 5
    c = (5 - np.arange(2, 5)) / (5 - 2 + 1)
    expected = c * np.expm1(c) / np.expm1(1)
    np.testing.assert_allclose(weights[2:5], expected, rtol=1e-6)


def test_a_late_real_time_chunk_begins_with_what_was_executed() -> None:
    """The third look is told the second chunk as it was executed: its first two
    actions were the first chunk's."""
    _, net = play(7, delay=2, real_time=True)
    third = net.told[2]
    assert third is not None
    assert third.actions[0, :5, 0].tolist() == [303, 304, 305, 306, 307]
