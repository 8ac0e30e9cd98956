"""`python -m pfpnas_operator.store`: the artifact store of a cluster."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated, Final

import typer
from aiohttp import web

from pfpnas_api.artifacts import FolderStore
from pfpnas_operator.store.logs import configure_logs
from pfpnas_operator.store.server import READ_BUFFER, Server, logger
from pfpnas_operator.store.tokens import BadKey, Key

INVALID: Final = 2
"""Exit code: nothing was started."""

FINISH_SECONDS: Final = 20.0
"""For requests under way once told to stop; Kubernetes waits 30 before it kills."""


def serve(
    root: Annotated[Path, typer.Option(help="Folder of the store; made if it isn't there.")],
    key_file: Annotated[
        Path, typer.Option(help="File with the secret, 32 bytes or more, from which the tokens are made.")
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free; the log says which.")] = 8080,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [default: all]")] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest artifact that is taken.")] = 8 << 30,
) -> None:
    """Serve artifacts by digest and references by name from one folder, until told to stop (SIGTERM).

    Everything but GET /healthz needs `Authorization: Bearer TOKEN`. A token is made of the key and a scope: the
    operator's may do everything; that of an owner (a Supernet or an experiment, by its uid) may read and put any
    artifact whose digest it knows, and use the references whose names begin with its uid.
    """
    configure_logs()
    try:
        server = Server(FolderStore(root), Key.read(key_file), max_bytes=max_bytes)
        asyncio.run(_serve(server, host=host, port=port))
    except BadKey as e:
        raise _invalid(str(e)) from e
    except OSError as e:
        place = e.filename or f"port {port}"
        raise _invalid(f"{place}: {e.strerror or e}") from e


async def _serve(server: Server, *, host: str | None, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(server.application(), access_log=None, read_bufsize=READ_BUFFER, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        logger.info("listening", extra={"fields": {"addresses": [list(address[:2]) for address in runner.addresses]}})
        await stopped.wait()
        logger.info("stopping")
        await site.stop()
        await server.draining.finish(seconds=FINISH_SECONDS)
    finally:
        await runner.cleanup()


def _invalid(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(INVALID)


if __name__ == "__main__":
    typer.run(serve)
