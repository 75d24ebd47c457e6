"""Addresses inside MLflow's pages, relative to the server, and the description that points to them."""

from urllib.parse import urlencode

# Without it MLflow opens an experiment as one of generative AI, which hides the runs.
TRAINING = {"workflowType": "machine_learning"}
ORDER = "raysweep.order"  # the tag by which the runs of groups and methods are sorted
# Sorted by anything but time, MLflow lists child runs beside, not under, their collapsed parent.
BARRIERS = {"searchFilter": 'params.method != ""', "orderByKey": f"tags.`{ORDER}`", "orderByAsc": "true"}


def runs_page(experiment: str) -> str:
    """All runs of the experiment."""
    return f"#/experiments/{experiment}/runs?{urlencode(TRAINING)}"


def barriers_page(experiment: str) -> str:
    """The runs of groups and methods by width, to tick and compare."""
    return f"#/experiments/{experiment}/runs?{urlencode(TRAINING | BARRIERS)}"


def charts_page(experiment: str) -> str:
    """A chart of every barrier metric."""
    return f"#/experiments/{experiment}/runs?{urlencode(TRAINING | BARRIERS | {'compareRunsMode': 'CHART'})}"


def figures_page(experiment: str, parent: str) -> str:
    """The artifacts of the parent run."""
    return f"#/experiments/{experiment}/runs/{parent}/artifacts?{urlencode(TRAINING)}"


def description(experiment: str, parent: str) -> str:
    """Markdown for the experiment and its parent run: where to look."""
    return (
        f"Barriers by width and method: [charts]({charts_page(experiment)}),"
        f" [runs to compare]({barriers_page(experiment)}), [figures]({figures_page(experiment, parent)});"
        f" [all runs]({runs_page(experiment)})"
    )
