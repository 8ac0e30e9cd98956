"""`pfpnas get`: results out of a cluster."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pfpnas_api.artifacts import ArtifactError, write_atomically
from pfpnas_operator.client.best import describe, fetch_best, read_experiment
from pfpnas_operator.client.cluster import (
    ClusterError,
    Context,
    Kubeconfig,
    Namespace,
    OperatorNamespace,
    open_cluster,
)

STANDARD_OUTPUT = "-"

get = typer.Typer(
    no_args_is_help=True,
    help="Get results out of a cluster, by your kubeconfig.\n\nThe artifact store is not open to the outside: it is "
    "reached through the API server, with the experiment's own token. For that you need to read the NASExperiment and "
    "its Secret NAME-nas-pfpnas in its namespace, and in the operator's namespace: get services, list pods, get and "
    "create pods/portforward. A store such as s3:// is read directly, with the credentials of your environment.",
)


@get.command()
def best(
    name: Annotated[str, typer.Argument(help="Of the NASExperiment.")],
    out: Annotated[
        str, typer.Option("-o", "--out", metavar="FILE", help="Where to; - is standard output.")
    ] = "best.onnx",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    namespace: Namespace = None,
    operator_namespace: OperatorNamespace = "pfpnas",
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Get the best model of an experiment, also while it runs, and say what it is.

    Exit codes: 0 done; 1 there is none yet, or it can't be had: the message says why.

    pfpnas get best -n team-a digits-on-cpu -o best.onnx
    """
    try:
        _refuse_to_replace(out, force=force)
        cluster = open_cluster(kubeconfig=kubeconfig, context=context)
        experiment = read_experiment(cluster, namespace or cluster.namespace, name)
        content = fetch_best(cluster, experiment, operator_namespace=operator_namespace)
        _write(content, out)
    except (ClusterError, ArtifactError) as e:
        _fail(str(e))
    if out == STANDARD_OUTPUT:
        typer.echo("\n".join(describe(experiment)), err=True)
    else:
        typer.echo("\n".join([f"wrote {out}", *describe(experiment)]))


def _refuse_to_replace(out: str, *, force: bool) -> None:
    if out != STANDARD_OUTPUT and Path(out).exists() and not force:
        raise ClusterError(f"{out} is there: name another file with -o, or replace it with --force")


def _write(content: bytes, out: str) -> None:
    if out == STANDARD_OUTPUT:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        write_atomically(Path(out), content)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
