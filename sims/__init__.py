"""What happens next? Engines, tasks, environments, sensing, randomisation, viewers."""

from sims.engines import ENGINES
from sims.registry import make_engine, make_env, make_task
from sims.tasks import TASKS

__all__ = ["ENGINES", "TASKS", "make_engine", "make_env", "make_task"]
