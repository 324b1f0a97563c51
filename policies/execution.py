"""How a predicted chunk of actions is executed; apart from the network that made it.

- *Receding horizon* (Chi et al. 2023, arXiv:2303.04137): the first few actions are
  executed, then the network looks again.
- *Temporal ensembling* (Zhao et al. 2023, arXiv:2304.13705, section IV-A): it looks at
  every step, and all predictions for the moment are averaged.
- *Delay*: a network takes time. What it predicts from a look is there only some steps
  later; meanwhile the robot goes on with the chunk before.
- *Real-time chunking* (Black, Galliker, Levine 2025, arXiv:2506.07339): the new chunk
  is generated so that it continues the actions that are executed meanwhile.
"""

from dataclasses import dataclass

from assets.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Choices that need no new training; None: as the checkpoint has it."""

    execute: int | None = None
    """Actions of a chunk that are executed before the network looks again."""
    ensemble: float | None = None
    """Temporal ensembling with weights exp(-this i), i = 0 the oldest prediction; below
    0: none."""
    sampling_steps: int | None = None
    """Steps from noise to actions."""
    delay: int = 0
    """Control steps from a look until its chunk is there."""
    real_time: bool = False
    """Whether a new chunk is made to continue the one before."""

    def __post_init__(self) -> None:
        """Refuse what no robot can do."""
        if self.delay < 0:
            raise UsageError(f"a delay is 0 or more control steps, got {self.delay}")
        for name in ("execute", "sampling_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} is at least 1, got {value}")
        if self.real_time and (self.ensemble or -1) >= 0:
            raise UsageError(
                "real-time chunking continues one chunk, ensembling averages many: "
                "choose one"
            )
