# MuJoCo's classes and functions live in compiled modules without type information;
# this says that they exist. Its pure Python modules are read as they are.
from typing import Any

def __getattr__(name: str) -> Any: ...
