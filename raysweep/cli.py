"""The command line: parse, call, print."""

import os
from typing import Annotated

import typer

from raysweep import __version__
from raysweep.commands.process_exit import leave, open_streams
from raysweep.errors import VERIFY, CorruptObject, UserError
from raysweep.interruption import exit_code, interruptible, stops

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

SweepFiles = Annotated[
    list[str], typer.Argument(metavar="SWEEP", help="YAML files of sweeps, taken one after the other")
]
SweepFile = Annotated[str, typer.Argument(metavar="SWEEP", help="the sweep's YAML file")]
ROOT = "a directory, s3://bucket/prefix or gs://bucket/prefix"
Root = Annotated[str, typer.Option(metavar="ROOT", help=f"where everything is stored: {ROOT}")]
UsedRoot = Annotated[str, typer.Argument(metavar="ROOT", help=f"where sweeps were run: {ROOT}")]
Override = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="a key of the sweep file and its value; may be repeated"
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"raysweep {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Test at scale whether neural networks are linearly connected modulo permutation.

    A YAML file describes a sweep. `plan` says what it takes, and `run` does it and answers its question.
    `status`, `verify` and `gc` look after what was stored.
    """


@app.command()
def plan(
    sweeps: SweepFiles,
    root: Root = "runs",
    override: Override = None,
    gpu: Annotated[
        str | None, typer.Option(help="also estimate the hours on one GPU of this kind (h100)")
    ] = None,
) -> None:
    """Say what a sweep takes before it runs: its jobs, how many are done, and the cost of the rest.

    Nothing is started, and nothing is written but the record of a sweep that an older version has run.
    """
    from raysweep.commands.load_all import load_all
    from raysweep.commands.plan import plan_table
    from raysweep.plan.cost.rates import check_gpu
    from raysweep.plan.done import done
    from raysweep.plan.notices.missing import missing_data
    from raysweep.plan.notices.symmetries import check_own_symmetries
    from raysweep.plan.notices.why_again import why_again
    from raysweep.plan.recording import adopt
    from raysweep.plan.todo import todo
    from raysweep.store.files import Files

    if gpu is not None:
        check_gpu(gpu)
    for wanted in load_all(sweeps, override, to_plan=True):
        files = Files(root)
        known = not missing_data(wanted)  # else no id is that of a result
        if known:
            adopt(files, wanted)
        work = todo(wanted, done(wanted, files))
        why = why_again(files, wanted, work) if known else []
        for text in (plan_table(wanted, work, gpu), *why):
            typer.echo(text)
        check_own_symmetries(wanted)


@app.command()
def inspect(
    target: Annotated[
        str, typer.Argument(metavar="MODEL", help="a model, module:function, or a sweep's YAML file")
    ],
    width: Annotated[int, typer.Option(min=1, help="the width of a model")] = 16,
    depth: Annotated[int | None, typer.Option(min=1, help="the depth of a model that has one")] = None,
    norm: Annotated[str, typer.Option(help="the norm of a model")] = "none",
    shape: Annotated[
        str, typer.Option(help="the shape of an input; for gpt its length, such as 64")
    ] = "3,32,32",
    classes: Annotated[int, typer.Option(min=1, help="the number of classes")] = 10,
) -> None:
    """List the symmetries of a network, or of those of a sweep.

    These are its groups of units, with what is left alone, and the rotations of units. They are found and
    proved as a run does it. Nothing is started or written.
    """
    from raysweep.commands.inspect import configs_of, inspection

    for config in configs_of(target, width, depth, norm, shape, classes):
        for line in inspection(config):
            typer.echo(line)


@app.command()
def run(
    sweeps: SweepFiles,
    root: Root = "runs",
    override: Override = None,
    address: Annotated[str | None, typer.Option(help="address of a running Ray cluster, or auto")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="print the tables of all analyses")] = False,
    retry_diverged: Annotated[
        bool, typer.Option("--retry-diverged", help="train again what has diverged in an earlier run")
    ] = False,
) -> None:
    """Train, align and compare what is left of the sweeps, and answer their questions.

    All files are checked before the first starts. Stored results are not computed again: the same command
    goes on after an interruption, and extends a sweep after its file has changed.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if address and _names_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads this only when it is imported
    from raysweep.commands.run import GOES_ON, execute

    try:
        with interruptible():
            code = execute(sweeps, root, override, address, verbose, retry_diverged)
    except KeyboardInterrupt:  # the command-line library would exit with code 1
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise typer.Exit(exit_code()) from None
    except OSError as error:
        typer.echo(f"error: {error}; {GOES_ON}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code)


@app.command()
def submit(
    sweep: SweepFile,
    root: Annotated[str, typer.Option(help="s3://, gs://, or the absolute path of a shared directory")],
    address: Annotated[str, typer.Option(help="address of the cluster's dashboard, http://host:8265")],
    override: Override = None,
) -> None:
    """Run a sweep as a job on a Ray cluster that this machine reaches only through its dashboard.

    The code installed here and the sweep file are sent, and the job's log is followed.
    """
    from raysweep.cluster.submit import submit as send
    from raysweep.sweep.load import load_sweep

    def show(text: str) -> None:
        typer.echo(text, nl=False)

    try:
        with interruptible():
            code = send(sweep, load_sweep(sweep, override), root, override, address, show)
    except KeyboardInterrupt:
        if not stops():
            typer.echo("interrupted; a submitted job keeps running (ray job stop ends it)", err=True)
        raise typer.Exit(exit_code()) from None
    raise typer.Exit(code)


@app.command("import")
def import_(sweep: SweepFile, root: Root = "runs", override: Override = None) -> None:
    """Bring in networks that you have trained elsewhere (train.imports), as finished trials.

    Their files are checked and stored; `run` then aligns and compares them.
    """
    from raysweep.commands.import_networks import import_sweep

    import_sweep(sweep, root, override)


NETWORKS = "trial_id@level@step, or columns of the table trials as in 'width=64 replicate=0,1'"
Chosen = Annotated[list[str], typer.Option("--networks", metavar="NETWORKS", help=NETWORKS)]
OfSweep = Annotated[
    str | None, typer.Option("--sweep", help="the sweep whose table is read, needed where there are several")
]


@app.command()
def merge(
    root: UsedRoot,
    networks: Chosen,
    out: Annotated[str, typer.Option(metavar="FILE", help="the .safetensors file that is written")],
    method: Annotated[
        str, typer.Option(help="one of align.methods, or joint: weight matching of all networks together")
    ] = "weight_matching",
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="an option of the method, as in a sweep file; may be repeated"
        ),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="repair the statistics of hidden units")] = False,
    seed: Annotated[int, typer.Option(help="the seed of the alignment")] = 0,
    sweep: OfSweep = None,
    data_root: Annotated[str | None, typer.Option(help="the folder of the data")] = None,
) -> None:
    """Align stored networks, write their mean to a file, and print the barriers before and after.

    Two networks are aligned by permuting the second toward the first, more of them jointly.
    """
    from raysweep.commands.merge import merge_stored
    from raysweep.store.files import Files

    files = Files.existing(root)
    for line in merge_stored(files, networks, sweep, out, method, option or [], repair, seed, data_root):
        typer.echo(line)


@app.command()
def export(
    root: UsedRoot,
    networks: Chosen,
    out: Annotated[str, typer.Option(help="a .safetensors file for one network, or a folder")],
    sweep: OfSweep = None,
) -> None:
    """Copy stored networks into safetensors files that other programs read."""
    from raysweep.commands.export import export as written
    from raysweep.store.files import Files

    for line in written(Files.existing(root), networks, sweep, out):
        typer.echo(line)


@app.command()
def status(
    root: UsedRoot,
    watch: Annotated[bool, typer.Option("--watch", help="show it again every 5 s, until Ctrl-C")] = False,
) -> None:
    """Say how far each sweep under a root is, and how many jobs have failed.

    Of a run in progress it also says the rate, the time left, and the hours of CPUs and GPUs spent and left.
    """
    from raysweep.commands.status import status_lines
    from raysweep.commands.status import watch as keep_watching
    from raysweep.store.files import Files

    if watch:
        try:
            keep_watching(Files.existing(root))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
    for line in status_lines(Files.existing(root)):
        typer.echo(line)


@app.command()
def verify(root: UsedRoot) -> None:
    """Look for damage: read every object under a root, and say what is wrong or missing and how to repair it.

    The exit code is 1 where there are problems.
    """
    from raysweep.commands.verify import Verification, objects
    from raysweep.store.files import Files

    files, found = Files.existing(root), 0
    verification = Verification(files)
    for problem in verification.problems():
        typer.echo(problem)
        found += 1
    for remark in verification.remarks():
        typer.echo(remark)
    typer.echo(f"{objects(files):,} objects under {files.root}, {found} problems")
    raise typer.Exit(1 if found else 0)


@app.command()
def gc(
    root: UsedRoot,
    delete: Annotated[bool, typer.Option("--delete", help="remove them (while no run is at work)")] = False,
) -> None:
    """Find what may be thrown away: trials and results that no sweep under a root asks for any more.

    They are listed, and removed only with --delete.
    """
    from raysweep.commands.gc import collect
    from raysweep.store.files import Files

    for line in collect(Files.existing(root), delete):
        typer.echo(line)


def _names_token() -> bool:
    """Whether the environment names an authentication token for the cluster.

    The existence of ~/.ray/auth_token is no evidence, because any Ray that was started on this machine has
    written it. A driver with a token cannot communicate with the workers of a cluster without tokens.
    """
    return "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ


def main() -> None:
    """Run a command. Exit codes: 0 for success, 1 for failures, 2 for bad input, 128 + a signal."""
    open_streams()
    try:
        app(prog_name="raysweep", standalone_mode=True)
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        leave(2)
    except CorruptObject as error:
        typer.echo(f"error: {error}; {VERIFY}", err=True)
        leave(1)
    except OSError as error:  # of a disk or of storage
        typer.echo(f"error: {error}", err=True)
        leave(1)
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 1)


if __name__ == "__main__":
    main()
