"""The command line: see the package."""

import argparse
import random
import tempfile
from collections import Counter
from pathlib import Path

from tests.mutation.mutants import mutants
from tests.mutation.running import Copy

ROOT = Path(__file__).parents[2]
TARGETS = (
    *("alignment/weight_matching", "alignment/ascent", "alignment/assignments", "alignment/embedding"),
    *("alignment/activation_matching", "alignment/joint", "symmetry/permutation", "plan/identity"),
    "plan/trial_ids",
    *("connectivity/barrier", "connectivity/blend", "connectivity/mixing", "connectivity/grids"),
    *("connectivity/statistics", "tables/publishing", "store/index"),
)
OTHERS = {  # tests of modules beside those of the same name
    "alignment/ascent": ("alignment/test_weight_matching",),
    "alignment/assignments": ("alignment/test_blocks", "alignment/test_joint_activations"),
    "connectivity/grids": ("connectivity/test_barrier",),
    "connectivity/mixing": ("connectivity/test_one_measure",),
    "plan/trial_ids": ("plan/test_identity",),
}


def files_for(module: str) -> list[str]:
    """Return the test files of a module such as `raysweep/alignment/joint.py`.

    They are the files of the same name and of `OTHERS` and the golden tests beside them, or, where there is
    none of the same name, all in the folder of the tests that mirrors the module's.
    """
    path = Path(module).with_suffix("")
    inside = path.relative_to("raysweep") if path.parts[0] == "raysweep" else path
    folder = next(p for p in (ROOT / "tests" / inside).parents if p.is_dir())
    named = [folder / f"test_{path.name}.py"]
    named += [ROOT / "tests" / f"{other}.py" for other in OTHERS.get(inside.as_posix(), ())]
    found = [each for each in (*named, *folder.glob("test_golden*.py")) if each.exists()]
    if not any(each in found for each in named):
        found = sorted(folder.glob("test_*.py"))
    return [each.relative_to(ROOT).as_posix() for each in dict.fromkeys(found)]


def modules(paths: list[str]) -> list[str]:
    found = [Path(path) for path in paths] or [Path(f"raysweep/{target}.py") for target in TARGETS]
    files = [file for p in found for file in (sorted((ROOT / p).rglob("*.py")) if p.is_dir() else [ROOT / p])]
    return [file.resolve().relative_to(ROOT).as_posix() for file in files]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("paths", nargs="*", help="modules or folders of raysweep or analysis")
    parser.add_argument("--limit", type=int, help="mutants of each module; all of them unless given")
    parser.add_argument("--seed", type=int, default=0, help="by which they are drawn")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(ROOT, Path(folder))
        for module in modules(chosen.paths):
            report(copy, module, chosen.limit, chosen.seed)


def report(copy: Copy, module: str, limit: int | None, seed: int) -> None:
    """Print the survivors among the mutants of a module, and the share that its tests kill."""
    measured = copy.measure(module, files_for(module))
    if copy.outcome(module, "raise RuntimeError", measured.reaching(None), measured.seconds) != "killed":
        raise SystemExit(f"{module}: its tests do not import it: {' '.join(files_for(module))}")
    found = mutants((copy.root / module).read_text())
    if limit is not None and limit < len(found):
        drawn = random.Random(f"{module} {seed}").sample(range(len(found)), limit)
        found = [found[number] for number in sorted(drawn)]
    outcomes = Counter[str]()
    for mutant in found:
        tests = measured.reaching(mutant.function)
        outcome = copy.outcome(module, mutant.source, tests, measured.seconds)
        outcomes[outcome] += 1
        if outcome == "survived":
            print(f"{module}:{mutant.line}: {mutant.before}  ->  {mutant.after}", flush=True)
    killed = outcomes["killed"] + outcomes["timed out"]
    share = f"{killed / len(found):.0%}" if found else "none"
    print(
        f"{module}: {len(found)} mutants, {killed} killed ({share}), {outcomes['timed out']} of them by the "
        f"time limit; {len(measured.calls)} tests",
        flush=True,
    )


if __name__ == "__main__":
    main()
