"""Names that a sweep file may use; free of torch, so that checking a file is quick."""

SCHEDULES = ("constant", "cosine", "one_cycle")
