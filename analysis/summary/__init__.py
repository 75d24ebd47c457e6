"""The page of all sweeps under a root: verdicts, figures, and the numbers of the paper."""
