"""The costs in the headers of sweep files, as `raysweep plan` says them of the real data sets."""

import re
from pathlib import Path
from unittest.mock import patch

from raysweep.commands.plan import plan_table
from raysweep.data.config import DataConfig
from raysweep.plan import probes
from raysweep.plan.desired import desired
from raysweep.plan.done import Done
from raysweep.plan.probes import DataFacts
from raysweep.plan.todo import todo
from raysweep.sweep.load import load_sweep

FILES = sorted((Path(__file__).parent.parent.parent / "sweeps").glob("*_cifar10.yaml"))
EXAMPLES = {"cifar10": (50_000, 10_000), "svhn": (73_257, 26_032)}
NOTHING = Done({}, {}, {})
COST = re.compile(r"# Cost: [\d,]+ (networks|trials) and [\d,]+ barriers, about \S+ GPU-hours on one \w+")


def _facts(config: DataConfig, data_root: str | None, download: bool) -> DataFacts:
    """What is known of the official files, which the tests do not have."""
    train, test = EXAMPLES[config.dataset]
    digest = f"{config.dataset} {config.half}"
    return DataFacts(digest, train if config.half is None else train // 2, test, (3, 32, 32), 10, 0.9)


def renewed(path: Path) -> str:
    """Return a sweep file with the costs that its plan has."""
    with patch.object(probes, "data_facts", _facts):
        wanted = desired(load_sweep(str(path)))
        plan = plan_table(wanted, todo(wanted, NOTHING))
    hours = re.search(r"about (\S+) GPU-hours on one (\w+): ", plan)
    assert hours, f"{path}: the plan has no GPU-hours"
    counts = wanted.counts()

    def cost(found: re.Match[str]) -> str:
        return (
            f"# Cost: {counts['trials']} {found[1]} and {counts['barriers']:,} barriers, about {hours[1]} "
            f"GPU-hours on one {hours[2]}"
        )

    text, count = COST.subn(cost, path.read_text())
    assert count == 1, f"{path}: no line of costs"
    return text
