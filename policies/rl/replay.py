"""Replay: the transitions of many environments in one ring, on the learner's device.

The ring has a slot per control step and a column per environment. Returns of n steps
are made when they are sampled: from a transition on, rewards are summed up to the end
of its episode, or to the newest transition, whichever comes first,

    R = sum_{i<k} gamma^i r_{t+i},   k <= n,   and the rest is worth gamma^k V(s_{t+k}).

Two mistakes of published code are avoided here, and tested: a window never runs over
the seam of a full ring, from the newest transition into the oldest; and one that was
cut short is continued by gamma^k, not gamma^n. Each batch is drawn anew and uniformly
from all environments, so that the data of each reach actor and critic alike.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from assets.errors import SandbotError, UsageError
from policies.rl.worlds import Sizes, Transition

SHARE = 0.8
"""Of the memory that is free, which a replay may take."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows for one update."""

    obs: Tensor
    """(rows, critic)"""
    action: Tensor
    """(rows, action) in [-1, 1]."""
    reward: Tensor
    """(rows,) discounted sum over the window."""
    next_obs: Tensor
    """(rows, critic) at the window's end."""
    discount: Tensor
    """(rows,) gamma^k, or 0 where the episode ended for good."""

    def tensors(self) -> tuple[Tensor, ...]:
        """All of them, in this order."""
        return self.obs, self.action, self.reward, self.next_obs, self.discount


class Replay:
    """The last ``slots`` control steps of each environment."""

    FIELDS = ("obs", "next_obs", "action", "reward", "terminated", "ended")
    """Its arrays, (slots, num_envs, ...) each."""

    def __init__(
        self, slots: int, num_envs: int, sizes: Sizes, device: torch.device
    ) -> None:
        """Take the memory.

        Args:
            slots: control steps of each environment.
            num_envs: columns.
            sizes: of the rows.
            device: where they lie.

        Raises:
            UsageError: fewer than two slots.
            SandbotError: it is larger than the memory that is free.
        """
        if slots < 2:
            raise UsageError(f"a replay has at least 2 slots, got {slots}")
        self.slots, self.num_envs, self.device = slots, num_envs, device
        rows = slots * num_envs
        check_memory(bytes_of(rows, sizes), rows, device)

        def room(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(slots, num_envs, *shape, dtype=dtype, device=device)

        try:
            self.obs = room(sizes.critic)
            self.next_obs = room(sizes.critic)
            self.action = room(sizes.action)
            self.reward = room()
            self.terminated = room(dtype=torch.bool)
            self.ended = room(dtype=torch.bool)
            """For good, or by time."""
        except RuntimeError as error:  # torch's, of either device
            raise _too_large(bytes_of(rows, sizes), rows, device, None) from error
        self.newest = -1
        """Slot of the newest transitions."""
        self.filled = 0
        """Slots that hold transitions."""

    def __len__(self) -> int:
        """Transitions in it."""
        return self.filled * self.num_envs

    def add(self, step: Transition) -> None:
        """Take one control step of all environments, in place of the oldest."""
        self.newest = (self.newest + 1) % self.slots
        self.filled = min(self.filled + 1, self.slots)
        slot = self.newest
        self.obs[slot] = step.obs
        self.next_obs[slot] = step.next_obs
        self.action[slot] = step.action
        self.reward[slot] = step.reward
        self.terminated[slot] = step.terminated
        self.ended[slot] = step.terminated | step.truncated

    def sample(
        self, rows: int, gamma: float, n: int, generator: torch.Generator
    ) -> Batch:
        """Draw transitions, each of the stored ones as likely as any other.

        Args:
            rows: how many.
            gamma: discount of one control step.
            n: longest window.
            generator: on the replay's device.
        """
        picks = torch.randint(
            len(self), (rows,), generator=generator, device=self.device
        )
        return self.windows(picks // self.num_envs, picks % self.num_envs, gamma, n)

    def windows(self, slot: Tensor, env: Tensor, gamma: float, n: int) -> Batch:
        """The windows that begin at these places, (rows,) each."""
        flat = slot * self.num_envs + env
        first = last = flat
        reward = self._flat(self.reward)[flat]
        discount = torch.full_like(reward, gamma)
        for _ in range(1, n):
            # stop at an episode's end, and at the seam between newest and oldest
            goes_on = ~self._flat(self.ended)[last] & (slot != self.newest)
            following = torch.where(goes_on, (slot + 1) % self.slots, slot)
            slot, last = following, following * self.num_envs + env
            gained = discount * self._flat(self.reward)[last]
            reward = torch.where(goes_on, reward + gained, reward)
            discount = torch.where(goes_on, discount * gamma, discount)
        discount = discount * ~self._flat(self.terminated)[last]
        return Batch(
            obs=self._flat(self.obs)[first],
            action=self._flat(self.action)[first],
            reward=reward,
            next_obs=self._flat(self.next_obs)[last],
            discount=discount,
        )

    @staticmethod
    def _flat(values: Tensor) -> Tensor:
        """(slots, num_envs, ...) -> (slots * num_envs, ...), a view."""
        return values.flatten(0, 1)


def bytes_of(rows: int, sizes: Sizes) -> int:
    """What so many transitions take."""
    return rows * (4 * (2 * sizes.critic + sizes.action + 1) + 2)


def check_memory(needed: int, rows: int, device: torch.device) -> None:
    """See that there is room.

    Raises:
        SandbotError: there is not; the message says how much there would be for.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
    else:
        import psutil

        free = psutil.virtual_memory().available
    if needed > SHARE * free:
        raise _too_large(needed, rows, device, free)


def _too_large(
    needed: int, rows: int, device: torch.device, free: int | None
) -> SandbotError:
    there = "" if free is None else f", and {free / 2**30:.1f} GiB are free"
    fits = "" if free is None else f" (at most {int(SHARE * free / needed * rows):,})"
    return SandbotError(
        f"a replay of {rows:,} transitions takes {needed / 2**30:.1f} GiB of "
        f"{device.type}'s memory{there}: lower --replay{fits}"
    )
