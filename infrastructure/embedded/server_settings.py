"""The server's settings file and its port."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from infrastructure.embedded.state import Mode

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket would have to lie outside the folder: its path may have 107 bytes at most
    "max_connections": "200",
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_wal_size": "4GB",
    "max_locks_per_transaction": "256",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %d ",
}
_DISPOSABLE_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "checkpoint_timeout": "1h",
    "autovacuum_naptime": "30s",
    "shared_buffers": "128MB",
}


def write(path: Path, data: Path, port: int, mode: Mode, extra: Mapping[str, str]) -> None:
    """Write the settings file. It lies beside the data, where the server's user cannot lead root's write astray."""
    settings = {**_SETTINGS, "port": str(port)}
    if sys.platform == "linux":  # elsewhere its limits are too low; the usual /dev/shm is small in containers
        settings["dynamic_shared_memory_type"] = "sysv"
    if mode is Mode.DISPOSABLE:
        settings |= _DISPOSABLE_SETTINGS
    lines = [f"include = {_quoted(str(data / 'postgresql.conf'))}"]
    lines += [f"{name} = {_quoted(value)}" for name, value in (settings | dict(extra)).items()]
    path.write_text("# Written at each start.\n" + "\n".join(lines) + "\n")
    path.chmod(0o644)


def free_port(preferred: int | None) -> int:
    """The preferred port if nobody listens there, else any free one."""
    if preferred and _free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
