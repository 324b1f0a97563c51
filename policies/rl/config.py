"""What every learner by trial and error is told."""

from dataclasses import dataclass
from typing import Literal

from assets.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RLConfig:
    """How a training runs; what is learned is the algorithm's own business."""

    steps: int = 1_000_000
    """Control steps of all environments together, after which it ends."""
    minutes: float = 0.0
    """Time after which it ends, if the steps do not end it before [min]; 0: none."""
    stop_at: float = 0.0
    """Success in an evaluation on the way at which it ends; 0: none."""
    num_envs: int = 128
    """Environments side by side."""
    randomize: str = "train"
    """What varies between the episodes learned from: none, train or gap. A task without
    the profile takes none."""
    without: tuple[str, ...] = ()
    """Names of terms of the randomisation that are left out, such as friction push; a
    wrong name lists them."""
    curriculum: bool = True
    """Whether tasks that have levels begin with easy ones; others take no notice."""
    overlap: bool = True
    """Whether environments step while the networks learn, each on its own core; the
    result is the same."""
    threads: int = 0
    """Threads of torch; 0: one or two, whichever is faster at the start."""
    engine_threads: int = 0
    """Threads of the engine; 0: one where it overlaps with learning on the CPU, or one
    per core."""
    device: str = "auto"
    """Of networks and replay: auto, cpu, cuda; auto: the engine's."""
    evaluate_minutes: float = 5.0
    """Time between evaluations on the way [min]; 0: only at the end."""
    evaluate_steps: int = 0
    """Control steps between evaluations, in place of time; 0: by time. Only so is a
    resumed training with evaluations the same to the bit."""
    evaluate_episodes: int = 50
    """Episodes of an evaluation on the way; no training and no test has their starts.
    """
    evaluate_randomize: str = "none"
    """What varies in evaluations on the way: none, train or gap."""
    checkpoint_seconds: float = 60.0
    """Time between two savings of the training state [s]."""
    log_seconds: float = 10.0
    """Time between two lines of the log [s]."""
    video: bool = False
    """Whether each evaluation films an episode of the present policy."""
    tensorboard: bool = True
    """Whether to write TensorBoard's event files beside metrics.jsonl."""
    seed: int = 0
    """Of weights, actions, samples and environments."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        for name in ("steps", "num_envs", "evaluate_episodes", "checkpoint_seconds"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("minutes", "threads", "engine_threads", "evaluate_minutes"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is at least 0, got {getattr(self, name)}")
        for name in ("evaluate_steps", "log_seconds", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is at least 0, got {getattr(self, name)}")
        if not 0 <= self.stop_at <= 1:
            raise UsageError(f"stop_at is from 0 to 1, got {self.stop_at:g}")


@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig(RLConfig):
    """Of learners that keep what they have seen."""

    replay: int = 500_000
    """Transitions that are kept."""
    warmup: int = 5_000
    """Transitions before the first update."""
    random_start: bool = True
    """Whether actions are uniformly random until then, or the untrained actor's."""
    updates: float = 1.0
    """Updates per control step of all environments; 0.5: every second step."""
    batch_size: int = 256
    """Rows of an update."""
    gamma: float = 0.99
    """Discount of one control step."""
    n_step: int = 1
    """Longest window of rewards that are summed before the critic's guess."""
    learning_rate: float = 3e-4
    """Of actor, critics and temperature; lower it where a training breaks down."""
    hidden: tuple[int, ...] = (256, 256)
    """Width of the actor's hidden layers."""
    critic_hidden: tuple[int, ...] = (256, 256)
    """Width of the critics' hidden layers."""
    precision: Literal["no", "bf16", "auto"] = "no"
    """Of the networks: bf16, or no for single precision; auto: bf16 where the processor
    has instructions for it, which makes an update 1.4 times as fast."""
    graph: bool = True
    """Whether updates on a GPU are recorded once and then launched as one graph."""
    compile: bool = False
    """Whether torch compiles the updates; on a CPU that gains nothing."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot work."""
        super().__post_init__()
        for name in ("replay", "updates", "batch_size", "n_step", "learning_rate"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.warmup < 0:
            raise UsageError(f"warmup is at least 0, got {self.warmup}")
        if not 0 <= self.gamma < 1:
            raise UsageError(f"gamma is from 0 to less than 1, got {self.gamma:g}")
        for name in ("hidden", "critic_hidden"):
            widths = getattr(self, name)
            if not widths or min(widths) < 1:
                raise UsageError(f"{name} layers are at least 1 wide, got {widths}")
        if self.replay < 2 * self.num_envs:
            raise UsageError(
                f"a replay of {self.replay:,} transitions has no room for two steps of "
                f"{self.num_envs:,} environments: raise replay, or lower num_envs"
            )
