"""What stable-baselines3's actors need to begin and to end as networks of ours."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from stable_baselines3.sac.policies import Actor
from torch import Tensor, nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global generators, which stable-baselines3 draws from, inside the block only.

    One thread, too: more of them may change the order of a sum.

    Args:
        seed: of torch's; stable-baselines3 seeds the others itself.
    """
    threads, numbers = torch.get_num_threads(), np.random.get_state()
    plain = random.getstate()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            np.random.set_state(numbers)
            random.setstate(plain)


def clone(
    actor: Actor,
    seen: Tensor,
    done: Tensor,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    """Bring an actor's mean near somebody's actions, by their squared error.

    Args:
        actor: changed in place, its spread aside.
        seen: (n, inputs) as it sees them.
        done: (n, outputs) in [-1, 1].
        steps: of Adam.
        batch_size: frames in each.
        learning_rate: of Adam.
        seed: of the frames' order.
    """
    weights = [*actor.latent_pi.parameters(), *actor.mu.parameters()]
    optimizer = torch.optim.Adam(weights, lr=learning_rate, fused=True)
    draws = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(seen), (batch_size,), generator=draws)
        wanted = torch.tanh(actor.mu(actor.latent_pi(seen[rows])))
        optimizer.zero_grad()
        (wanted - done[rows]).square().mean().backward()
        optimizer.step()


def mean_layers(actor: nn.Module) -> dict[str, Tensor]:
    """Weights of an actor's mean, for :func:`policies.actor.perceptron`."""
    assert isinstance(actor, Actor)
    return nn.Sequential(*actor.latent_pi, actor.mu).state_dict()
