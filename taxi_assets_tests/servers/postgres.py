"""A real PostgreSQL server for the tests, made from the machine's own binaries.

What belongs here: finding the binaries, making a cluster in a temporary folder, starting, restarting, killing and
removing it. What does not: anything about trips, tables or Dagster (see `fixtures_postgres.py` for the fixtures).

The cluster lives in a folder that this module makes itself, not below pytest's `tmp_path`: PostgreSQL refuses to run
as root, so under root it runs as `postgres` (or `nobody`), who may not enter pytest's folders (mode 0700).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_assets_tests.servers.process import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "taxi"
PASSWORD = "only-for-tests-7f3a"
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
NOT_INSTALLED = (
    "there is no PostgreSQL server (initdb, postgres) in /usr/lib/postgresql/*/bin or where pg_config points; on "
    "Debian or Ubuntu install the package `postgresql`, elsewhere put PostgreSQL's pg_config on the PATH"
)
_MEMORY, _ENOUGH = Path("/dev/shm"), 4 * 1024**3


class PostgresServer:
    """A running server: its URL, and the ways to stop it. Made by `postgres_server`, not directly.

    Args:
        binaries: The folder that holds `initdb` and `postgres`.
        folder: An empty folder of the server's user; holds the cluster and `server.log`.
        durable: False turns `fsync` off, which is quicker. It matters only if the machine itself goes down.
    """

    def __init__(self, binaries: Path, folder: Path, *, durable: bool) -> None:
        self.port = free_port()
        self.log = folder / "server.log"
        self._binaries = binaries
        self._cluster = folder / "cluster"
        self._as_user = _unprivileged()
        settings = {"fsync": "on" if durable else "off", "shared_buffers": "64MB", "max_wal_size": "512MB"}
        self._settings = [f"--{name}={value}" for name, value in settings.items()]
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0

    @property
    def url(self) -> str:
        """The URL of the database `postgres`, with its owner and password."""
        return self._url("postgres")

    def new_database(self) -> str:
        """Make an empty database and return its URL; some 20 ms, so every test can have its own."""
        self._databases += 1
        name = f"trips_{self._databases}"
        self._run("createdb", "--host=127.0.0.1", f"--port={self.port}", f"--username={USER}", name)
        return self._url(name)

    def create(self) -> None:
        """Make the cluster (`initdb`) and start it."""
        password_file = self._cluster.with_name("password")
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        self._run(
            "initdb", f"--pgdata={self._cluster}", f"--username={USER}", f"--pwfile={password_file}", "--no-sync",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start the server, unless it runs, and wait until it accepts connections.

        Raises:
            RuntimeError: It did not start; the message has the end of its log.
        """
        if self._process is not None and self._process.poll() is None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "postgres", "-D", self._cluster, "-h", "127.0.0.1", "-p", str(self.port),
                    "--unix_socket_directories=", *self._settings,
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._cluster.parent, start_new_session=True,
                **self._as_user,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        # postmaster.pid says "ready" on its eighth line; asking it costs nothing, a connection attempt does.
        status = self._cluster / "postmaster.pid"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, IndexError):
                lines = status.read_text().splitlines()
                if lines[7].strip() == "ready" and int(lines[0]) == self._process.pid:
                    return
            time.sleep(0.02)
        self.stop()
        end_of_log = "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"PostgreSQL did not start on port {self.port}; the end of its log:\n{end_of_log}")

    def stop(self) -> None:
        """Stop in an orderly way ("fast": open transactions are rolled back, connections closed)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Stop at once, without a checkpoint, as a crash would: the next start replays the log.

        SIGQUIT and not SIGKILL, because PostgreSQL's processes are no group: it is the postmaster that ends the others.
        """
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop in an orderly way and start on the same port; connections are lost, committed data is not."""
        self.stop()
        self.start()

    def _url(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._binaries / program, *arguments],
            capture_output=True, text=True, check=False, cwd=self._cluster.parent,
            env={**os.environ, "PGPASSWORD": PASSWORD}, **self._as_user,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed with status {done.returncode}: {done.stderr.strip()}")


@contextlib.contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Run a PostgreSQL server of one's own on a free loopback port, and remove it and its folder afterwards.

    Args:
        durable: True keeps `fsync` on (a little slower).

    Yields:
        The running server; `.url` and `.new_database()` are URLs with user and password.

    Raises:
        RuntimeError: No binaries were found, or the server did not start; the message has the end of its log.
    """
    binaries = find_binaries()
    if not binaries:
        raise RuntimeError(NOT_INSTALLED)
    # fifty databases are half a gigabyte, which takes a busy disk 20 s to write and 20 s to remove
    in_memory = not durable and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH
    folder = Path(tempfile.mkdtemp(prefix="taxi-postgres-", dir=_MEMORY if in_memory else None))
    user = _unprivileged().get("user")
    if user is not None:
        shutil.chown(folder, user)
    server = PostgresServer(binaries, folder, durable=durable)
    try:
        server.create()
        yield server
    finally:
        server.kill()  # an orderly stop would first write to disk what is deleted next
        shutil.rmtree(folder, ignore_errors=True)


def find_binaries() -> Path | None:
    """Find the folder that holds `initdb` and `postgres`: the newest of Debian's, else what `pg_config` says."""
    debian = Path("/usr/lib/postgresql")
    versions = [folder for folder in debian.glob("*") if folder.name.isdigit()]
    candidates = [folder / "bin" for folder in sorted(versions, key=lambda folder: int(folder.name), reverse=True)]
    if pg_config := shutil.which("pg_config"):
        bindir = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        candidates.append(Path(bindir))
    return next(
        (folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()), None
    )


def _unprivileged() -> dict[str, Any]:
    """The `subprocess` arguments that make a child run as an ordinary user; none when we are not root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`.")
