"""Run the server: take the port, start the model's process, and stop both in good order."""

import asyncio
import errno
import ipaddress
import re
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from monobody.errors import UserError
from monobody.web.guard import LOOPBACK, Guard
from monobody.web.limits import Limits
from monobody.web.worker import Loader, Worker

SHORTEST_TOKEN = 16


def serve(
    loader: Loader,
    *,
    model: str,
    host: str = "127.0.0.1",
    port: int = 7860,
    token: str | None = None,
    limits: Limits | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        loader: makes the predictor, in a process of its own.
        model: what visitors are told of it.
        host: the address to listen on.
        port: the port; 0 for any that is free.
        token: what visitors must know; needed unless the address is this machine's own.
        limits: what they may ask for.
        say: told where the server is, and that it has stopped.

    Raises:
        UserError: the port is taken, the address is not this machine's, a token is needed, the model cannot be loaded,
            or the server's packages are missing.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise UserError(f"The server needs {error.name}: pip install 'monobody[web]'.") from error
    from monobody.web.jobs import Jobs
    from monobody.web.server import make_app

    limits, token = limits or Limits(), checked_token(token, host)
    listening = listen(host, port)
    worker = Worker(loader, limits)
    _stop_in_order()
    try:
        with tempfile.TemporaryDirectory(prefix="monobody-serve-") as folder, ExitStack() as stack:
            worker.start()
            jobs = stack.enter_context(closing(Jobs(Path(folder), limits, worker)))
            app = Guard(make_app(jobs, limits, model), token)
            address = f"http://{_shown(host)}:{listening.getsockname()[1]}/"
            say(f"Open {address}{'' if token is None else f'?token={token}'} (Ctrl-C stops)")
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, limit_concurrency=200, lifespan="off",
                timeout_keep_alive=15, timeout_graceful_shutdown=3,
            )  # fmt: skip
            asyncio.run(_until_stopped(uvicorn.Server(config), listening))
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        worker.stop()
        listening.close()


def checked_token(token: str | None, host: str) -> str | None:
    """Return the token; "auto" makes one.

    Raises:
        UserError: it is too short or has other than plain characters, or there is none and others can reach the server.
    """
    if token == "auto":
        return secrets.token_urlsafe(24)
    if token is None:
        if not is_loopback(host):
            raise UserError(
                f"Others can reach {host}: give --token auto, or a token of your own with at least {SHORTEST_TOKEN} "
                "characters."
            )
        return None
    if not re.fullmatch(rf"[A-Za-z0-9._~-]{{{SHORTEST_TOKEN},}}", token):
        raise UserError(
            f"A token has at least {SHORTEST_TOKEN} characters, letters, digits and any of -_.~ alone; --token auto "
            "makes one."
        )
    return token


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK


def listen(host: str, port: int) -> socket.socket:
    """Take the port.

    Raises:
        UserError: it is taken or not to be had, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"There is no port {port}: choose one from 1024 to 65535.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"There is no address {host}: give 127.0.0.1, or one of this machine's.") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        # Listening at once: else a second server could take the port while the model loads.
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"Port {port} is taken: stop the other server, or choose another --port.") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise UserError(f"{host} is no address of this machine: give 127.0.0.1, or one that is.") from error
        raise UserError(f"Port {port} is not to be had ({error.strerror}): choose a --port above 1023.") from error
    return listening


def _stop_in_order() -> None:
    """Make SIGTERM what Ctrl-C is: else the process would end there and then, and leave its folder."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


async def _until_stopped(server: Any, listening: socket.socket) -> None:
    await server.serve(sockets=[listening])


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
