"""How many more workers a backlog deserves than the cluster has room for.

An autoscaler adds nodes for actors that wait for room. Ray's public interface does not say whether there is
one; where there is none, actors that wait take nothing from anyone. They end with their driver, which a
request of `ray.autoscaler.sdk.request_resources` would not.
"""

WORTH = 60.0  # seconds of work that there must be for each worker, because a node takes that long to start
MOST = 200  # workers that wait for room at a time


def more_workers(seconds: float, jobs: int, fitting: int) -> int:
    """Return how many workers to start beyond the `fitting` ones, for which there is room.

    `jobs` are ready, which would take one worker this many `seconds`. The number of workers at most doubles
    at a time: by the time that the new ones work, more is known.
    """
    deserved = min(jobs, int(seconds / WORTH))
    return max(0, min(deserved - fitting, max(1, fitting), MOST))
