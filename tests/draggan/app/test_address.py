"""Where the app listens."""

import socket
import subprocess
import sys
import threading
import urllib.request

import pytest
import warm
from app_server import ROOT, free_port, wait_until

from common.commandline import UserError
from draggan.app.address import listening_host


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as trial:
            trial.bind(("::1", 0))
        return True
    except OSError:
        return False


def test_hosts():
    port = free_port()
    assert listening_host("127.0.0.1", port) == "127.0.0.1"
    assert listening_host("localhost", port) == "localhost"
    assert listening_host("0.0.0.0", port) == "0.0.0.0"
    for host in ("no-such-host.invalid", "a" * 300, "\udcff"):
        with pytest.raises(UserError, match="there is no such host"):
            listening_host(host, port)
    with pytest.raises(UserError, match="cannot listen there"):
        listening_host("192.0.2.1", port)  # of documentation, RFC 5737
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(UserError, match=f"port {port} is taken"):
            listening_host("127.0.0.1", port)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "::", "[::1]"])
def test_ipv6_and_a_path_behind_a_proxy(host):
    port = free_port()
    assert listening_host(host, port) == f"[{host.strip('[]')}]"
    if host != "::1":
        return
    script = [
        sys.executable,
        str(ROOT / "draggan/gragan_modify.py"),
        "--device",
        "cpu",
        "--root-path",
        "/faces",
    ]
    arguments = [*script, "--host", host, "--port", str(port)]
    with warm.Process(arguments, stdout=subprocess.PIPE, text=True) as process:
        lines: list[str] = []
        threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True).start()
        wait_until(lambda: any("Running on" in line for line in lines) or process.poll() is not None)
        with urllib.request.urlopen(f"http://[::1]:{port}/config", timeout=600) as page:
            config = page.read().decode()
        process.terminate()
        process.wait(600)
    assert "/faces" in config
