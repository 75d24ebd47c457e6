"""The sections `resources` and `tracking` of a sweep file, which change no number."""

from pydantic import Field, field_validator

from raysweep.sweep.fields import Number, Strict, Whole

LEAST = 0.0001  # of a resource, in which Ray counts


class Worker(Strict):
    cpu: Number = Field(default=1, ge=LEAST, description="The CPUs of one process.")
    gpu: Number = Field(
        default=0,
        ge=0,
        description="The GPUs of one process, several as a whole number; 0.25 lets four processes share one "
        "GPU.",
    )

    @field_validator("gpu")
    @classmethod
    def _as_ray_counts(cls, gpu: float) -> float:
        if 0 < gpu < LEAST or (gpu > 1 and gpu != int(gpu)):
            raise ValueError(f"expected 0, a fraction of one GPU from {LEAST} on, or a whole number of GPUs")
        return gpu


PACKED = 8  # trials that share a GPU unless the sweep file says otherwise: more are no faster (measured)


class TrialWorker(Worker):
    pack: Whole | None = Field(
        default=None,
        gt=0,
        description="The largest number of trials of one architecture that a process trains at a time, in "
        "turns; 8 on a GPU, but no more than fit into its memory, and 1 on a CPU unless given. Packed trials "
        "have the same bits as trials alone.",
    )

    @property
    def packed(self) -> int:
        """The largest number of trials that a process trains at a time."""
        return self.pack or (PACKED if self.gpu else 1)


class Resources(Strict):
    trial: TrialWorker = TrialWorker()
    align: Worker = Worker()
    workers: Whole | None = Field(
        default=None,
        gt=0,
        description="The largest number of processes of each kind at a time; unless given, as many as fit, "
        "or as a growing cluster may have room for.",
    )
    tile_seconds: Number = Field(
        default=2,
        gt=0,
        description="How many seconds of work an align worker is given at a time; more where there are more "
        "than a thousand workers.",
    )
    cache_mb: Whole = Field(
        default=1000,
        ge=0,
        description="The memory in MB in which each align worker keeps checkpoints and activations.",
    )
    disk_cache_mb: Whole = Field(
        default=20_000,
        ge=0,
        description="The disk space in MB in which each node keeps what it read from s3:// or gs://; it "
        "lies in `RAYSWEEP_CACHE` or in the node's temporary folder.",
    )
    unit_seconds: Number = Field(
        default=3600,
        gt=0,
        description="How many seconds one alignment or barrier may take before its worker is considered hung "
        "and is killed.",
    )
    resume_seconds: Number = Field(
        default=30,
        ge=0,
        description="The seconds between two resume points of a trial, or of an alignment that takes longer.",
    )
    publish_seconds: Number = Field(
        default=120,
        gt=0,
        description="The seconds between two publications while a run goes on: of the tables, the figures, "
        "the page and MLflow.",
    )


class Tracking(Strict):
    enabled: bool = Field(default=True, description="Whether the sweep is logged to MLflow.")
    system_metrics: bool = Field(
        default=False,
        description="Whether MLflow also shows how much of a CPU, a GPU and their memory the process of each "
        "trial used, every ten seconds of its training (the tab of system metrics).",
    )
