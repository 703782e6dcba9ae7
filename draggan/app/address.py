"""Where the app listens: a host and a port that this machine has and nobody uses."""

import errno
import os
import socket

from common.commandline import UserError


def listening_host(host: str, port: int) -> str:
    """The host as Gradio takes it: an IPv6 address in brackets.

    UserError for a name that does not resolve, an address that is not this machine's, and a port that is taken or not
    allowed.
    """
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise UserError(
            f"--host {host}: there is no such host; 127.0.0.1 is this machine alone, 0.0.0.0 lets others in"
        ) from None
    try:
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is taken by another program; choose another with --port") from None
        if error.errno == errno.EACCES:
            raise UserError(f"port {port} is not allowed to you; choose one above 1023 with --port") from None
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(f"--host {host}: this machine cannot listen there ({reason})") from None
    return f"[{bare}]" if ":" in bare else bare
