"""Links to MLflow's pages, relative to the server, and a description that contains them."""

from urllib.parse import urlencode

# Without this, MLflow opens an experiment as one of generative AI, which hides its runs.
TRAINING = {"workflowType": "machine_learning"}
ORDER = "raysweep.order"  # the tag by which the runs of settings and methods are sorted
# Sorted by anything other than time, MLflow lists child runs beside their parent instead of hiding them in
# it.
FILTER = 'params.method != "" and tags.`raysweep.current` = "true"'
BARRIERS = {"searchFilter": FILTER, "orderByKey": f"tags.`{ORDER}`", "orderByAsc": "true"}


def runs_page(experiment: str) -> str:
    """Return the link to all runs of the experiment."""
    return f"#/experiments/{experiment}/runs?{urlencode(TRAINING)}"


def barriers_page(experiment: str) -> str:
    """Return the link to the runs of settings and methods, sorted by width, to select and compare."""
    return f"#/experiments/{experiment}/runs?{urlencode(TRAINING | BARRIERS)}"


def charts_page(experiment: str) -> str:
    """Return the link to the charts of all barrier metrics."""
    return f"#/experiments/{experiment}/runs?{urlencode(TRAINING | BARRIERS | {'compareRunsMode': 'CHART'})}"


def figures_page(experiment: str, parent: str) -> str:
    """Return the link to the artifacts of the parent run."""
    return f"#/experiments/{experiment}/runs/{parent}/artifacts?{urlencode(TRAINING)}"


def description(experiment: str, parent: str) -> str:
    """Return a description of the experiment and its parent run, in Markdown, with links to their pages."""
    return (
        f"Barriers by width and method: [charts]({charts_page(experiment)}),"
        f" [runs to compare]({barriers_page(experiment)}), [figures]({figures_page(experiment, parent)});"
        f" [all runs]({runs_page(experiment)})"
    )
