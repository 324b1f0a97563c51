"""A model of what an action does, learned from what actions did.

    o(t + 1) = o(t) + scale * f(o(t), a(t)),

with a small network f; observations are normalised, actions lie in [-1, 1], ``scale``
is how much each element changed from step to step in the first data. An element that
never changed there, such as a target's place, is kept as it is.

What is asked of it are roll-outs, and one-step errors add up along them: it is trained
to be right over a few steps on end, each predicted from the last prediction. Being
smooth, it hands back how an action now changes what is seen later, which nobody can ask
an engine (Baram et al. 2017, "End-to-end differentiable adversarial imitation
learning", PMLR 70; Heess et al. 2015, arXiv:1510.09142).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from policies.actor import perceptron

STILL = 1e-6
"""Normalised changes below this are none."""
NEWEST = 4
"""Half of what is learned from are the latest rounds, so many of them."""


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """What was seen and done side by side, one round of it."""

    seen: Tensor
    """(num_envs, steps + 1, inputs) normalised."""
    done: Tensor
    """(num_envs, steps, outputs) in [-1, 1]."""
    cut: Tensor
    """(num_envs, steps) bool: what was seen next was another episode's beginning."""

    def frames(self, envs: int) -> Tensor:
        """(envs * steps, inputs + outputs): the first environments'."""
        pairs = torch.cat([self.seen[:envs, :-1], self.done[:envs]], 2)
        return pairs.flatten(0, 1)


class ForwardModel(nn.Module):
    """f and its scale."""

    scale: Tensor

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int]) -> None:
        """Random weights, and no scale yet.

        Args:
            inputs: elements of an observation.
            outputs: of an action.
            hidden: width of each hidden layer.
        """
        super().__init__()
        self.network = perceptron(inputs + outputs, inputs, hidden)
        self.register_buffer("scale", torch.full((inputs,), torch.nan))

    def forward(self, seen: Tensor, done: Tensor) -> Tensor:
        """(n, inputs), (n, outputs) -> what is seen next, (n, inputs)."""
        return seen + self.scale * self.network(torch.cat([seen, done], -1))

    def measure(self, episodes: Episodes) -> None:
        """Take the scale from data."""
        change = episodes.seen[:, 1:] - episodes.seen[:, :-1]
        spread = change[~episodes.cut].square().mean(0).sqrt()
        self.scale.copy_(torch.where(spread > STILL, spread, 0.0))

    def imagine(
        self, seen: Tensor, act: Callable[[Tensor], Tensor], steps: int
    ) -> Tensor:
        """(steps, n, inputs + outputs) from (n, inputs) on, by whoever acts."""
        frames = []
        for _ in range(steps):
            done = act(seen)
            frames.append(torch.cat([seen, done], 1))
            seen = self(seen, done)
        return torch.stack(frames)

    def error(self, seen: Tensor, done: Tensor) -> Tensor:
        """Mean square of what it is wrong by, in changes of one step; a scalar.

        The k-th prediction on end counts as 1/k, since errors add up.

        Args:
            seen: (n, k + 1, inputs).
            done: (n, k, outputs).
        """
        moves = self.scale > 0
        now, total = seen[:, 0], torch.zeros(())
        for k in range(done.shape[1]):
            now = self(now, done[:, k])
            wrong = (now - seen[:, k + 1])[:, moves] / self.scale[moves]
            total = total + wrong.square().mean() / (k + 1)
        return total / done.shape[1]


class ModelFitter:
    """The model's turn in each round."""

    def __init__(
        self,
        model: ForwardModel,
        *,
        horizon: int,
        batch_size: int,
        learning_rate: float,
        draws: torch.Generator,
    ) -> None:
        """Nothing learned yet.

        Args:
            model: to be trained.
            horizon: steps on end that it should be right over.
            batch_size: of such segments.
            learning_rate: of Adam at the beginning.
            draws: of the segments.
        """
        self.model, self.horizon, self.batch_size = model, horizon, batch_size
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=learning_rate, fused=True
        )
        self.draws = draws

    def learn(self, rounds: Sequence[Episodes], updates: int) -> float:
        """Train on all rounds, the latest above all.

        Args:
            rounds: of as many environments and steps each.
            updates: steps of the optimiser.

        Returns:
            The last batch's error.
        """
        if torch.isnan(self.model.scale).any():
            self.model.measure(rounds[0])
        seen = torch.cat([r.seen for r in rounds])
        done = torch.cat([r.done for r in rounds])
        starts = self._starts(torch.cat([r.cut for r in rounds]))
        newest = sum(len(r.seen) for r in rounds[-NEWEST:])
        late = int((starts[:, 0] < len(seen) - newest).sum())
        ahead = torch.arange(self.horizon + 1)
        loss = torch.zeros(())
        for _ in range(updates):
            half = self.batch_size // 2
            rows = torch.cat(
                [
                    torch.randint(len(starts), (half,), generator=self.draws),
                    torch.randint(
                        min(late, len(starts) - 1),
                        len(starts),
                        (self.batch_size - half,),
                        generator=self.draws,
                    ),
                ]
            )
            env, at = starts[rows].T
            steps = at[:, None] + ahead
            loss = self.model.error(
                seen[env[:, None], steps], done[env[:, None], steps[:, :-1]]
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()

    def _starts(self, cut: Tensor) -> Tensor:
        """(n, 2): row and step from which a segment lies within one episode."""
        return (~cut.unfold(1, self.horizon, 1).any(2)).nonzero()
