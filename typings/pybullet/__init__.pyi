# PyBullet is one compiled module without type information.
from typing import Any

def __getattr__(name: str) -> Any: ...
