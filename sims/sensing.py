"""Between the world and the policy: noise, bias, late observations and actions, pushes.

Noise, bias and delay touch what is sensed; commands (names that start with ``target_``)
and the group of a critic (:data:`sims.observation.PRIVILEGED`) pass untouched. Delays
are whole control steps, drawn per episode, as biases are. Nothing here runs where a
randomisation does not ask for it, so that ``none`` costs nothing.
"""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from assets.errors import UsageError, unknown
from ml.spec import ArraySpec
from sims.arrays import (
    Array,
    Chosen,
    Mask,
    Obs,
    assign,
    copied,
    like,
    maybe,
    namespace,
    zeros,
)
from sims.draws import Draws
from sims.observation import PRIVILEGED
from sims.randomization import Randomization
from sims.terms import Push, SensorTerm

if TYPE_CHECKING:
    from sims.engine import Engine

COMMANDS = ("target_",)
"""Prefixes of the elements that are told, not sensed."""


class DelayLine:
    """The last values of a batched array, read back a number of steps late."""

    def __init__(
        self, num_envs: int, width: int, longest: int, beside: Array | None = None
    ):
        """All was zero.

        Args:
            num_envs: rows.
            width: columns.
            longest: delay [control steps].
            beside: (num_envs, ...) an array where this one is to be; None: the host.
        """
        there: Array = np.empty(num_envs) if beside is None else beside
        xp = namespace(there)
        self._ring = xp.stack([zeros(there, width) for _ in range(longest + 1)])
        self._rows = xp.arange(num_envs, device=there.device)
        self._slot = 0
        self.delay = zeros(there, dtype=int)
        """(num_envs,) control steps."""

    def push(self, values: Array) -> None:
        """Take the newest values, (num_envs, width)."""
        self._slot = (self._slot + 1) % len(self._ring)
        self._ring[self._slot] = values

    def fill(self, values: Array, where: Mask) -> None:
        """Forget the past of some environments: as if it had always been so."""
        chosen = Chosen(where)
        for slot in self._ring:
            chosen.put(slot, chosen.of(values))

    def clear(self, where: Mask) -> None:
        """Forget the past of some environments: as if it had always been zero."""
        chosen = Chosen(where)
        for slot in self._ring:
            chosen.put(slot, 0.0)

    def read(self, chosen: Chosen | None = None) -> Array:
        """(n, width): each environment's value of ``delay`` steps ago.

        Args:
            chosen: n environments; None: all.
        """
        rows = self._rows if chosen is None else chosen.of(self._rows)
        return self._ring[(self._slot - self.delay[rows]) % len(self._ring), rows]


class Sensing:
    """What a policy sees of an environment, and when its actions arrive."""

    def __init__(
        self,
        randomization: Randomization,
        obs_spec: dict[str, ArraySpec],
        action_spec: ArraySpec,
        num_envs: int,
        beside: Array | None = None,
    ):
        """Resolve names to columns.

        Args:
            randomization: what varies.
            obs_spec: of the task.
            action_spec: likewise.
            num_envs: environments.
            beside: (num_envs, ...) an array of theirs; None: they are on the host.

        Raises:
            UsageError: a term about elements that no group has.
        """
        self._obs_delay = randomization.observation_delay
        self._act_delay = randomization.action_delay
        self._sensed: dict[str, slice | np.ndarray] = {}
        """By group, columns of what is sensed."""
        self._noise: dict[str, np.ndarray] = {}
        """By group, (n,) of its sensed elements; without groups that have none."""
        self._biased: list[tuple[str, SensorTerm, np.ndarray]] = []
        """Groups, terms, and which of the group's sensed elements (m,)."""
        self._bias: dict[str, np.ndarray] = {}
        """By group, (num_envs, n) of its sensed elements."""
        widths: dict[str, int] = {}
        known: set[str] = set()
        self._obs_lines: dict[str, DelayLine] = {}
        self._act_line: DelayLine | None = None
        for group, spec in obs_spec.items():
            if group == PRIVILEGED:
                continue
            commands = set(spec.columns(COMMANDS).tolist())
            columns = np.array([i for i in range(spec.size) if i not in commands], int)
            self._sensed[group] = _as_slice(columns)
            widths[group] = len(columns)
            names = [spec.names[i] if spec.names else "" for i in columns.tolist()]
            noise = np.full(len(columns), randomization.observation_noise)
            for term in randomization.sensors:
                fits = fitting(names, term)
                known |= {term.name} if fits.any() else set()
                if term.noise is not None:
                    noise[fits] = term.noise
                if any(term.bias) and fits.any():
                    self._biased.append((group, term, np.flatnonzero(fits)))
            if noise.any():
                self._noise[group] = noise
            if self._obs_delay[1]:
                self._obs_lines[group] = DelayLine(
                    num_envs, len(columns), self._obs_delay[1], beside
                )
        if self._act_delay[1]:
            longest = self._act_delay[1]
            self._act_line = DelayLine(num_envs, action_spec.size, longest, beside)
        for term in randomization.sensors:
            if term.name not in known:
                names = [name for spec in obs_spec.values() for name in spec.names]
                raise unknown(
                    f"sensed element in the term {term.name!r}",
                    ", ".join(term.elements),
                    names,
                )
        there = np.empty(num_envs) if beside is None else beside
        for group, _, _ in self._biased:
            self._bias[group] = zeros(there, widths[group])
        self.active = bool(self._noise or self._biased or self._obs_delay[1])
        """Whether observations differ from the truth at all."""

    def reset(self, where: Mask, draws: Draws) -> None:
        """Draw delays and biases of some environments; no action is on its way."""
        if self._act_line is not None:
            drawn = draws.integers("action_delay", *self._act_delay)
            assign(self._act_line.delay, drawn, where)
            self._act_line.clear(where)
        for line in self._obs_lines.values():
            drawn = draws.integers("observation_delay", *self._obs_delay)
            assign(line.delay, drawn, where)
        if self._biased:
            self._draw_biases(Chosen(where), draws)

    def _draw_biases(self, chosen: Chosen, draws: Draws) -> None:
        keys, xp = chosen.draws(draws), namespace(draws.keys)
        fresh = {
            group: xp.zeros_like(chosen.of(bias)) for group, bias in self._bias.items()
        }
        for group, term, columns in self._biased:
            own = keys.once if term.when == "start" else keys
            drawn = own.uniform(f"{term.name}:{group}", *term.bias, (len(columns),))
            fresh[group][:, like(columns, drawn)] += drawn
        for group, bias in self._bias.items():
            chosen.put(bias, fresh[group])

    def act(self, action: Array) -> Array:
        """The action that arrives now."""
        if self._act_line is None:
            return action
        self._act_line.push(action)
        return self._act_line.read()

    def advance(self, obs: Obs) -> None:
        """Take the newest truth, once per control step."""
        for group, line in self._obs_lines.items():
            line.push(obs[group][:, self._columns(group, obs[group])])

    def start(self, obs: Obs, where: Mask) -> None:
        """Take the first truth of an episode in some environments."""
        for group, line in self._obs_lines.items():
            line.fill(obs[group][:, self._columns(group, obs[group])], where)

    def read(
        self, obs: Obs, steps: Array, draws: Draws, chosen: Chosen | None = None
    ) -> Obs:
        """What the policy sees of the truth ``obs``, a new dictionary.

        Args:
            obs: by group, (n, size).
            steps: (n,) control steps since the reset.
            draws: of the same environments.
            chosen: which they are; None: all.
        """
        seen = {}
        for group, values in obs.items():
            if group not in self._sensed:
                seen[group] = values
                continue
            values = copied(values)
            columns = self._columns(group, values)
            part = values[:, columns]
            if group in self._obs_lines:
                part[:] = self._obs_lines[group].read(chosen)
            if group in self._bias:
                bias = self._bias[group]
                part += bias if chosen is None else chosen.of(bias)
            if group in self._noise:
                noise = draws.normal(f"noise:{group}", part.shape[1:], steps)
                part += like(self._noise[group], noise) * noise
            values[:, columns] = part
            seen[group] = values
        return seen

    def _columns(self, group: str, values: Array) -> Any:
        """To index a group's values with: those that are sensed."""
        columns = self._sensed[group]
        return columns if isinstance(columns, slice) else like(columns, values)


def _as_slice(columns: np.ndarray) -> slice | np.ndarray:
    """The same columns, as a slice where they are neighbours: that copies nothing."""
    if len(columns) and np.array_equal(columns, columns[0] + np.arange(len(columns))):
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns


def fitting(names: list[str], term: SensorTerm) -> np.ndarray:
    """(len(names),) bool: which elements a term is about."""
    return np.array(
        [any(fnmatchcase(name, p) for p in term.elements) for name in names], bool
    )


class Pusher:
    """Applies a :class:`~sims.terms.Push` as time goes by."""

    def __init__(self, push: Push, control_dt: float):
        self._push = push
        self._period = round(push.interval / control_dt)
        self._length = round(push.duration / control_dt)
        if not 0 < self._length <= self._period:
            raise UsageError(
                f"a push of {push.duration:g} s every {push.interval:g} s does not fit "
                f"control steps of {control_dt:g} s: one must last at least a step, "
                f"and end before the next"
            )
        lasts = self._length * control_dt
        if push.force is None:
            assert push.impulse is not None  # a push has one of the two
            self._force = push.impulse[0] / lasts, push.impulse[1] / lasts
        else:
            self._force = push.force

    def apply(self, engine: "Engine", steps: Array, draws: Draws) -> None:
        """Set the wrench of every environment for the control step that begins.

        Args:
            engine: the world.
            steps: (num_envs,) control steps since the reset.
            draws: of the present episodes.
        """
        xp = namespace(steps)
        phase = draws.uniform("push_phase") * self._period
        since = steps - xp.astype(xp.floor(phase), xp.int64)
        count, within = since // self._period, since % self._period
        begins, ends = within == 0, within == self._length
        if not maybe(begins | ends):
            return
        counter = xp.maximum(count, 0)
        size = draws.uniform("push_force", *self._force, counter=counter)
        angle = draws.uniform("push_angle", 0, 2 * np.pi, counter=counter)
        size = xp.where(begins & (count >= 0), size, 0.0)
        wrench = zeros(engine.qpos, 6)
        wrench[:, self._push.axes[0]] = size * xp.cos(angle)
        wrench[:, self._push.axes[1]] = size * xp.sin(angle)
        engine.apply_wrench(self._push.body, wrench, begins | ends)
