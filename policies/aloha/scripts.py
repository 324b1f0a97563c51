"""The script of each task, by the task's name."""

from policies.aloha.handover import handover
from policies.aloha.insertion import insertion
from policies.aloha.pick import pick
from policies.aloha.script import Script
from policies.aloha.transfer import transfer, transfer_two_ways

SCRIPTS: dict[str, Script] = {
    "aloha-transfer-cube": transfer,
    "aloha-peg-insertion": insertion,
    "aloha-handover": handover,
    "aloha-pick": pick,
}

TWO_WAYS: dict[str, Script] = {"aloha-transfer-cube": transfer_two_ways}
"""Scripts that draw one of two distinct strategies, likewise."""
