"""The only folder that imports Ray: trials on Tune, the pool of alignment actors, the stages of a run."""
