"""What is left out of ids: keys that were added later, and keys that only a GPU reads.

Results are stored under ids that older versions of raysweep have made. A key that is added to a section of
the schema is listed in `LATER`, with the value that stands for what was done before: with this value the
key is left out of ids, so that they stay as they are. Any other value enters them.
"""

from typing import Any

LATER: dict[str, dict[str, Any]] = {
    "train": {
        "dataset_options": {},
        "scaling_options": {},
        "augment_options": {},
        "init_options": {},
        "optimiser_options": {},
        "schedule_options": {},
    },
    "prune": {},
    "align": {},
    "align.weight_matching": {},
    "align.activation_matching": {},
    "compare": {"precision": "float32"},
}
ON_GPU = {"train": ("compile",), "compare": ("compile",)}  # read with `device: cuda` alone


def in_id(section: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Return those settings of a section (as JSON values) that enter ids."""
    left_out = LATER.get(section, {}).items()
    unread = ON_GPU.get(section, ()) if settings.get("device") == "cpu" else ()
    return {
        key: value for key, value in settings.items() if (key, value) not in left_out and key not in unread
    }
