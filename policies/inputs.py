"""Which elements of an observation a network reads, on end, from one group or several.

A network takes one vector; an observation is a dictionary of groups (``state``, and in
simulation ``environment_state``). The elements are remembered by name, so that a
checkpoint notices when a task observes something else than what it was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assets.errors import UsageError, unknown
from ml.spec import ArraySpec
from sims.observation import PRIVILEGED

PREFIX = "observation."
"""Of a group's name in a dataset."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Groups of vectors, and what of them is left out."""

    specs: dict[str, ArraySpec]
    """Of each group that is read, whole, in order."""
    drop: tuple[str, ...] = ()
    """Starts of the names of elements that are left out."""

    @staticmethod
    def choose(
        obs_spec: Mapping[str, ArraySpec],
        groups: tuple[str, ...] = (),
        drop: tuple[str, ...] = (),
    ) -> "Inputs":
        """Of what a task observes.

        Args:
            obs_spec: of the task.
            groups: to read; none named: all that are vectors, but for a critic's.
            drop: starts of the names of elements to leave out.

        Raises:
            UsageError: an unknown group, one that is no vector, a start that no name
                has, or nothing left.
        """
        vectors = [name for name, spec in obs_spec.items() if len(spec.shape) == 1]
        for group in groups:
            if group not in vectors:
                raise unknown("group of vectors in the observation", group, vectors)
        usual = [group for group in vectors if group != PRIVILEGED]
        chosen = {name: obs_spec[name] for name in groups or usual}
        found = Inputs(specs=chosen, drop=drop)
        names = [name for spec in chosen.values() for name in spec.names]
        for start in drop:
            if not any(name.startswith(start) for name in names):
                raise unknown("element of the observation to drop", start, names)
        if not found.names:
            raise UsageError(f"nothing of the observation is left without {drop}")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """Of the elements, in their order."""
        kept = (spec.without(self.drop) for spec in self.specs.values())
        return tuple(name for spec in kept for name in spec.names)

    def gather(self, arrays: Mapping[str, Any], prefix: str = "") -> np.ndarray:
        """The elements of all groups on end, (rows, elements) float32.

        Args:
            arrays: by group, each (rows, size).
            prefix: of the groups' names there.
        """
        parts = []
        for group, spec in self.specs.items():
            gone = set(spec.columns(self.drop).tolist()) if self.drop else set()
            values = np.asarray(arrays[prefix + group], np.float32)
            if gone:
                values = values[:, [i for i in range(spec.size) if i not in gone]]
            parts.append(values)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a checkpoint's ``config.json``."""
        specs = {group: spec.to_dict() for group, spec in self.specs.items()}
        return {"groups": specs, "drop": list(self.drop)}

    @staticmethod
    def from_dict(data: Mapping[str, Any], names: Sequence[str]) -> "Inputs":
        """The inverse of :meth:`to_dict`.

        Args:
            data: what it returned.
            names: of the elements, as they were.

        Raises:
            ValueError: the elements have other names.
        """
        specs = {g: ArraySpec.from_dict(spec) for g, spec in data["groups"].items()}
        found = Inputs(specs=specs, drop=tuple(data["drop"]))
        if found.names != tuple(names):
            raise ValueError(f"inputs {names} are not the groups' {found.names}")
        return found
