"""The command line: parse, call, print."""

import contextlib
import os
from typing import Annotated

import typer

from raysweep import __version__
from raysweep.errors import CorruptObject, UserError
from raysweep.leaving import leave

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)

SweepFiles = Annotated[
    list[str], typer.Argument(metavar="SWEEP...", help="YAML files of sweeps, done one after the other")
]
SweepFile = Annotated[str, typer.Argument(metavar="SWEEP", help="the sweep's YAML file")]
Root = Annotated[str, typer.Option(help="directory of trials, results and tables")]
Override = Annotated[list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE")]


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
    """Test at scale whether neural networks are linearly connected modulo permutation."""


@app.command()
def plan(sweeps: SweepFiles, root: Root = "runs", override: Override = None) -> None:
    """Say what there is to do and what it will cost, without starting Ray."""
    from raysweep.report import plan_table
    from raysweep.several import check_all
    from raysweep.store.files import Files
    from raysweep.sweep.plan import done, todo

    for wanted in check_all(sweeps, override):
        typer.echo(plan_table(wanted, todo(wanted, done(wanted, Files(root)))))


@app.command()
def run(
    sweeps: SweepFiles,
    root: Root = "runs",
    override: Override = None,
    address: Annotated[str | None, typer.Option(help="a running Ray cluster, or auto")] = None,
) -> None:
    """Do what is left of sweeps, publish their tables and answer their questions."""
    address = address or os.environ.get("RAY_ADDRESS")
    if address and _names_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads it once, when it is imported
    from raysweep.execute import GOES_ON, execute

    try:
        code = execute(sweeps, root, override, address)
    except KeyboardInterrupt:  # here, because the command-line library would make it exit code 1
        typer.echo("interrupted; the same command goes on from here", err=True)
        raise typer.Exit(130) from None
    except OSError as error:
        typer.echo(f"error: {error}; {GOES_ON}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(code)


@app.command()
def submit(
    sweep: SweepFile,
    root: Annotated[str, typer.Option(help="s3://, gs://, or the absolute path of a shared directory")],
    address: Annotated[str, typer.Option(help="the cluster's dashboard, http://host:8265")],
    override: Override = None,
) -> None:
    """Run a sweep as a job of a Ray cluster, with the code that is installed here; follows its log."""
    from raysweep.cluster.submit import submit as send
    from raysweep.sweep.load import load_sweep

    def show(text: str) -> None:
        typer.echo(text, nl=False)

    try:
        code = send(sweep, load_sweep(sweep, override), root, override, address, show)
    except KeyboardInterrupt:
        typer.echo("interrupted; a job that was sent goes on (ray job stop ends it)", err=True)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


@app.command("import")
def import_(sweep: SweepFile, root: Root = "runs", override: Override = None) -> None:
    """Take the networks that train.imports names as finished trials, to be aligned and compared by run."""
    from raysweep.execute import import_sweep

    import_sweep(sweep, root, override)


@app.command()
def status(root: Annotated[str, typer.Argument(metavar="ROOT")]) -> None:
    """Say how far every sweep under a root is."""
    from raysweep.report import status_lines
    from raysweep.store.files import Files

    for line in status_lines(Files(root)):
        typer.echo(line)


@app.command()
def verify(root: Annotated[str, typer.Argument(metavar="ROOT")]) -> None:
    """Read every object under a root: checksums, schemas, unique ids, completeness. Exit code 1: problems."""
    from raysweep.store.files import Files
    from raysweep.verify import objects, problems

    files, found = Files(root), 0
    for problem in problems(files):
        typer.echo(problem)
        found += 1
    typer.echo(f"{objects(files):,} objects under {files.root}, {found} problems")
    raise typer.Exit(1 if found else 0)


@app.command()
def gc(
    root: Annotated[str, typer.Argument(metavar="ROOT")],
    delete: Annotated[bool, typer.Option("--delete", help="remove them (no run may be at work)")] = False,
) -> None:
    """List trials and results that no sweep under a root asks for, and logs of sweeps that are gone."""
    from raysweep.garbage import garbage, summary
    from raysweep.store.files import Files
    from raysweep.store.lock import alone

    files = Files(root)
    with alone(files) if delete else contextlib.nullcontext():
        found = garbage(files)
        for name, size in found.items():
            typer.echo(f"{size:12,} {name}")
            if delete:
                files.delete(name)
        if delete:
            files.remove_empty_folders("trials")
            files.remove_empty_folders("results")
    typer.echo(f"{summary(found)}{', removed' if delete else ''}")


def _names_token() -> bool:
    """Whether the environment names a token for clusters.

    The file ~/.ray/auth_token is no sign of one: any Ray that was started on this machine has written it, and
    with a token a driver hears nothing from the workers of a cluster without.
    """
    return "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ


def main() -> None:
    """Run a command. Exit codes: 0 done, 1 failures recorded, 2 bad input, 130 interrupted."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        leave(2)
    except CorruptObject as error:
        typer.echo(f"error: {error}; raysweep verify says what else is wrong and how to mend it", err=True)
        leave(1)
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else 1)


if __name__ == "__main__":
    main()
