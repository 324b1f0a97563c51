"""An engine of tensors that plays back what an engine of NumPy's arrays did.

So a task can be run twice, on NumPy and on tensors, and meet the same physics to the
last bit: what then differs is the task alone. The player sees to it that its task asks
for the same: commands, states of starts, wrenches and model fields. Its tensors are of
single precision, as on a GPU, and only as near as that.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from sims.arrays import assign

TOLERANCE = 1e-5
"""Relative and absolute."""


def alike(found: Any, wanted: Any, what: str, near: Any = TOLERANCE) -> None:
    """A tensor of single precision holds what an array does.

    Args:
        found: the tensor.
        wanted: the array.
        what: it is.
        near: absolute tolerance, a number or one for each column.

    Raises:
        AssertionError: it does not, or it is of another kind.
    """
    assert isinstance(found, torch.Tensor), what
    wanted = np.asarray(wanted)
    kinds = {"f": torch.float32, "i": torch.int64, "b": torch.bool}
    assert found.dtype == kinds[wanted.dtype.kind], (what, found.dtype)
    if wanted.dtype.kind == "f":
        off = np.abs(found.numpy() - wanted)
        assert (off <= near + TOLERANCE * np.abs(wanted)).all(), (what, off.max())
    else:
        np.testing.assert_array_equal(found.numpy(), wanted, what)


@dataclass
class Moment:
    """What was to be seen after a call, and what was given to it."""

    substeps: int
    """Physics steps; 0: of a reset."""
    given: dict[str, np.ndarray]
    shown: dict[str, np.ndarray]
    frames: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Filled as they are asked for."""


class Recorder:
    """Takes down what one engine does, from now on."""

    def __init__(self, engine: Any):
        self.engine = engine
        self.fields: list[tuple[str, np.ndarray, np.ndarray]] = []
        """Written: name, values, where."""
        self.read: list[np.ndarray] = []
        """Fields, as they were read."""
        self.wrenches: dict[str, np.ndarray] = {}
        self.moments = [Moment(0, {}, self._shown())]
        names = ("reset", "step", "apply_wrench", "set_field", "get_field")
        self._own: Any = SimpleNamespace(**{n: getattr(engine, n) for n in names})
        for name in names:
            setattr(engine, name, getattr(self, f"_{name}"))
        for name in ("pose", "velocity"):
            setattr(engine, name, self._frame(name, getattr(engine, name)))

    def _shown(self) -> dict[str, np.ndarray]:
        engine = self.engine
        names = [engine.model.sensor(i).name for i in range(engine.model.nsensor)]
        shown = {f"sensor {name}": engine.sensor(name).copy() for name in names}
        shown |= {"qpos": engine.qpos.copy(), "qvel": engine.qvel.copy()}
        return shown | {"diverged": engine.diverged().copy()}

    def _note(self, substeps: int, **given: np.ndarray) -> None:
        self.moments.append(Moment(substeps, given, self._shown()))

    def _reset(self, where: Any, qpos: Any, qvel: Any) -> None:
        self._own.reset(where, qpos, qvel)
        for wrench in self.wrenches.values():
            wrench[where] = 0.0
        given = {"qpos": np.array(qpos)[where], "qvel": np.array(qvel)[where]}
        self._note(0, where=where.copy(), **given)

    def _step(self, substeps: int = 1) -> None:
        ctrl = self.engine.ctrl.copy()
        pushes = {f"wrench {k}": v.copy() for k, v in self.wrenches.items()}
        self._own.step(substeps)
        self._note(substeps, ctrl=ctrl, **pushes)

    def _apply_wrench(self, body: str, wrench: Any, where: Any) -> None:
        self._own.apply_wrench(body, wrench, where)
        assign(self.wrenches.setdefault(body, np.zeros(wrench.shape)), wrench, where)

    def _set_field(self, name: str, values: Any, where: Any) -> None:
        self.fields.append((name, np.array(values), where.copy()))
        self._own.set_field(name, values, where)

    def _get_field(self, name: str) -> Any:
        self.read.append(self._own.get_field(name))
        return self.read[-1].copy()

    def _frame(self, what: str, own: Any) -> Any:
        def ask(frame: str) -> Any:
            found = own(frame)
            copies = tuple(f.copy() for f in found) if what == "pose" else found.copy()
            self.moments[-1].frames[what, frame] = copies
            return found

        return ask


class Player:
    """See the module's top; an :class:`~sims.engine.Engine`, as far as tasks go."""

    name = "player"
    device = "cpu"

    def __init__(self, record: Recorder):
        engine = record.engine
        self._record = record
        self.model, self.num_envs, self.dt = engine.model, engine.num_envs, engine.dt
        self.fields = engine.fields
        self.ctrl = torch.zeros(engine.ctrl.shape)
        self._now = self._done = self._written = self._got = 0
        shown = record.moments[0].shown
        self._shown = {name: _tensor(values) for name, values in shown.items()}
        self.qpos, self.qvel = self._shown["qpos"], self._shown["qvel"]
        self._wrenches: dict[str, Any] = {}

    def reset(self, where: Any, qpos: Any, qvel: Any) -> None:
        moment = self._record.moments[self._now + 1]
        assert moment.substeps == 0
        alike(where, moment.given["where"], "which start")
        rows = moment.given["where"]
        for name, given in (("qpos", qpos), ("qvel", qvel)):
            given = given[torch.from_numpy(rows)].float()
            alike(given, moment.given[name], f"{name} of a start")
        for wrench in self._wrenches.values():
            assign(wrench, 0.0, where)
        self._show()

    def step(self, substeps: int = 1) -> None:
        moment = self._record.moments[self._now + 1]
        alike(self.ctrl, moment.given["ctrl"], "commands")
        for body, wrench in self._wrenches.items():
            wanted = moment.given.get(f"wrench {body}", np.zeros(wrench.shape))
            alike(wrench, wanted, f"wrench on {body}")
        # a task may cut a step in pieces where it cannot know that it need not
        self._done += substeps
        assert self._done <= moment.substeps
        if self._done == moment.substeps:
            self._done = 0
            self._show()

    def _show(self) -> None:
        self._now += 1
        for name, values in self._record.moments[self._now].shown.items():
            self._shown[name].copy_(torch.from_numpy(values))

    def sensor(self, name: str) -> Any:
        return self._shown[f"sensor {name}"]

    def pose(self, frame: str) -> Any:
        found = self._record.moments[self._now].frames["pose", frame]
        return tuple(_tensor(values) for values in found)

    def velocity(self, frame: str) -> Any:
        return _tensor(self._record.moments[self._now].frames["velocity", frame])

    def diverged(self) -> Any:
        return self._shown["diverged"] != 0

    def apply_wrench(self, body: str, wrench: Any, where: Any) -> None:
        assert where.dtype == torch.bool
        held = self._wrenches.setdefault(body, torch.zeros(wrench.shape))
        assign(held, wrench, where)

    def set_field(self, name: str, values: Any, where: Any) -> None:
        wanted, full, rows = self._record.fields[self._written]
        self._written += 1
        assert name == wanted
        np.testing.assert_array_equal(where, rows)
        np.testing.assert_allclose(values, full, rtol=TOLERANCE)

    def get_field(self, name: str) -> Any:
        self._got += 1
        return self._record.read[self._got - 1].copy()

    def finish(self) -> None:
        """All that was recorded has been played."""
        assert self._now == len(self._record.moments) - 1
        assert self._written == len(self._record.fields)
        assert self._got == len(self._record.read)

    def close(self) -> None:
        pass


def _tensor(values: np.ndarray) -> Any:
    found = torch.from_numpy(np.array(values))
    return found.float() if found.is_floating_point() else found
