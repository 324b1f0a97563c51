"""Between the world and the policy: noise, bias, late observations and actions, pushes.

Noise, bias and delay touch what is sensed; commands (names that start with ``target_``)
and the group of a critic (:data:`sims.observation.PRIVILEGED`) pass untouched. Delays
are whole control steps, drawn per episode, as biases are. Nothing here runs where a
randomisation does not ask for it, so that ``none`` costs nothing.
"""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import numpy as np

from assets.errors import UsageError, unknown
from ml.spec import ArraySpec
from sims.arrays import Array, Mask, Obs, assign
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

    def __init__(self, num_envs: int, width: int, longest: int):
        self._ring = np.zeros((longest + 1, num_envs, width))
        self._rows = np.arange(num_envs)
        self._slot = 0
        self.delay = np.zeros(num_envs, np.int64)
        """(num_envs,) control steps."""

    def push(self, values: Array) -> None:
        """Take the newest values, (num_envs, width)."""
        self._slot = (self._slot + 1) % len(self._ring)
        self._ring[self._slot] = values

    def fill(self, values: Array, where: Mask) -> None:
        """Forget the past of some environments: as if it had always been so."""
        self._ring[:, where] = values[where]

    def clear(self, where: Mask) -> None:
        """Forget the past of some environments: as if it had always been zero."""
        self._ring[:, where] = 0.0

    def read(self, rows: np.ndarray | None = None) -> Array:
        """(n, width): each environment's value of ``delay`` steps ago.

        Args:
            rows: (n,) which environments; None: all.
        """
        rows = self._rows if rows is None else rows
        return self._ring[(self._slot - self.delay[rows]) % len(self._ring), rows]


class Sensing:
    """What a policy sees of an environment, and when its actions arrive."""

    def __init__(
        self,
        randomization: Randomization,
        obs_spec: dict[str, ArraySpec],
        action_spec: ArraySpec,
        num_envs: int,
    ):
        """Resolve names to columns.

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
                    num_envs, len(columns), self._obs_delay[1]
                )
        if self._act_delay[1]:
            self._act_line = DelayLine(num_envs, action_spec.size, self._act_delay[1])
        for term in randomization.sensors:
            if term.name not in known:
                names = [name for spec in obs_spec.values() for name in spec.names]
                raise unknown(
                    f"sensed element in the term {term.name!r}",
                    ", ".join(term.elements),
                    names,
                )
        for group, _, _ in self._biased:
            self._bias[group] = np.zeros((num_envs, widths[group]))
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
            self._draw_biases(np.flatnonzero(where), draws)

    def _draw_biases(self, rows: np.ndarray, draws: Draws) -> None:
        for bias in self._bias.values():
            bias[rows] = 0.0
        for group, term, columns in self._biased:
            keys = draws.at(rows)
            keys = keys.once if term.when == "start" else keys
            drawn = keys.uniform(f"{term.name}:{group}", *term.bias, (len(columns),))
            self._bias[group][np.ix_(rows, columns)] += drawn

    def act(self, action: Array) -> Array:
        """The action that arrives now."""
        if self._act_line is None:
            return action
        self._act_line.push(action)
        return self._act_line.read()

    def advance(self, obs: Obs) -> None:
        """Take the newest truth, once per control step."""
        for group, line in self._obs_lines.items():
            line.push(obs[group][:, self._sensed[group]])

    def start(self, obs: Obs, where: Mask) -> None:
        """Take the first truth of an episode in some environments."""
        for group, line in self._obs_lines.items():
            line.fill(obs[group][:, self._sensed[group]], where)

    def read(
        self,
        obs: Obs,
        steps: np.ndarray,
        draws: Draws,
        rows: np.ndarray | None = None,
    ) -> Obs:
        """What the policy sees of the truth ``obs``, a new dictionary.

        Args:
            obs: by group, (n, size).
            steps: (n,) control steps since the reset.
            draws: of the same environments.
            rows: (n,) which they are; None: all.
        """
        seen = {}
        for group, values in obs.items():
            if group not in self._sensed:
                seen[group] = values
                continue
            values = values.copy()
            part = values[:, self._sensed[group]]
            if group in self._obs_lines:
                part[:] = self._obs_lines[group].read(rows)
            if group in self._bias:
                bias = self._bias[group]
                part += bias if rows is None else bias[rows]
            if group in self._noise:
                noise = draws.normal(f"noise:{group}", part.shape[1:], steps)
                part += self._noise[group] * noise
            values[:, self._sensed[group]] = part
            seen[group] = values
        return seen


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

    def apply(self, engine: "Engine", steps: np.ndarray, draws: Draws) -> None:
        """Set the wrench of every environment for the control step that begins.

        Args:
            engine: the world.
            steps: (num_envs,) control steps since the reset.
            draws: of the present episodes.
        """
        phase = np.floor(draws.uniform("push_phase") * self._period).astype(np.int64)
        count, within = np.divmod(steps - phase, self._period)
        begins, ends = within == 0, within == self._length
        if not (begins | ends).any():
            return
        counter = np.maximum(count, 0)
        size = draws.uniform("push_force", *self._force, counter=counter)
        angle = draws.uniform("push_angle", 0, 2 * np.pi, counter=counter)
        size = np.where(begins & (count >= 0), size, 0.0)
        wrench = np.zeros((engine.num_envs, 6))
        wrench[:, self._push.axes[0]] = size * np.cos(angle)
        wrench[:, self._push.axes[1]] = size * np.sin(angle)
        engine.apply_wrench(self._push.body, wrench, begins | ends)
