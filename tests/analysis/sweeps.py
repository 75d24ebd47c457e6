"""Small sweeps on disk, in the form of the published ones."""

import pandas as pd
import yaml

from tests.analysis.barrier_rows import SHARED, pair_alignments, pair_rows, trial_rows


def write(root, name, analyses=(), **tables):
    """Write the tables that are given and the sweep file; returns the sweep's folder."""
    folder = root / "sweeps" / name
    for table, rows in tables.items():
        (folder / table).mkdir(parents=True)
        pd.DataFrame(rows).to_parquet(folder / table / "00.parquet")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.yaml").write_text(yaml.safe_dump({"name": name, "analyses": list(analyses)}))
    return folder


def trials(width=8, **more):
    """Four independent dense trials `a` to `d` of the networks that `barrier_rows` compares."""
    shared = {key: SHARED[key] for key in ("dataset", "model", "norm")}
    its = {**shared, "width": width, "group": f"group{width}", "steps": 9, "epochs": 3, **more}
    return [{**row, **its} for row in trial_rows()]


def weak_tables(direct=0.01, unaligned=0.3, width=8, **more):
    """Tables of a sweep whose pairs have these error barriers; `more` changes columns of all rows."""
    barriers = pair_rows("unaligned", width, unaligned, **more)
    barriers += pair_rows("direct", width, direct, "weight_matching", **more)
    its = {key: more[key] for key in ("dataset", "model", "norm") if key in more}
    return {"trials": trials(width, **its), "alignments": pair_alignments(), "barriers": barriers}
