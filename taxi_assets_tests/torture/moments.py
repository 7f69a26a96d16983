"""Every system call with which a process changes state, seen by its parent before it happens.

The child runs under a seccomp filter that hands these calls to the parent (user notifications, Linux 5.9). The parent
lets a call pass, makes it fail, or kills the child in place of it. So a crash or a full disk can be put at any moment
of a run, in Python's code, SQLite's, DuckDB's or Arrow's alike, without a debugger, a compiler or a right of root's.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# asm/unistd_64.h
_BY_FD = {
    "write": 1,
    "pwrite": 18,
    "writev": 20,
    "pwritev": 296,
    "send": 44,
    "sendfile": 40,
    "copy_file_range": 326,
    "fsync": 74,
    "fdatasync": 75,
    "ftruncate": 77,
    "fallocate": 285,
}
_BY_PATH = {"rename": 82, "unlink": 87, "mkdir": 83, "rmdir": 84, "link": 86}
_BY_FOLDER_AND_PATH = {"renameat": 264, "renameat2": 316, "unlinkat": 263, "mkdirat": 258, "openat": 257}
_CALLS = {number: name for group in (_BY_FD, _BY_PATH, _BY_FOLDER_AND_PATH) for name, number in group.items()}
_SECCOMP = 317

# linux/seccomp.h, linux/filter.h
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NO_NEW_PRIVILEGES = 38


@dataclass(frozen=True)
class Change:
    """A call that is about to change state.

    Attributes:
        call: Its name.
        what: Path of the file, relative to the folder that is watched, or `a socket`.
    """

    call: str
    what: str


Decide = Callable[[int, Change], int]
"""Says, of a change and its number from 1 on, what becomes of it: `PASS`, `KILL` or the `errno` that it fails with."""

PASS, KILL = 0, -1


@dataclass(frozen=True)
class Watched:
    """How a watched process went.

    Attributes:
        status: What the work returned, or minus the signal that ended it.
        changes: The calls that were seen; of a killed process the last one is that which did not happen.
    """

    status: int
    changes: list[Change]


def why_not() -> str:
    """Return why no process can be watched here; empty if one can."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return "moments of a run are found by Linux's seccomp, on x86_64"
    try:
        watch(lambda: 0, Path("/nowhere"), lambda *_: PASS, 60)
    except OSError as error:
        return f"this system gives no seccomp notifications ({error})"
    return ""


def watch(work: Callable[[], int], folder: Path, decide: Decide, limit: float) -> Watched:
    """Do work in a child process and decide on each of its changes to files below a folder, and on what it sends.

    Args:
        work: Returns the child's exit status. This process must have no other threads: the child is its fork.
        folder: The folder; it need not exist yet.
        decide: Decides.
        limit: Seconds after which the child is killed.

    Raises:
        TimeoutError: It took longer.
        OSError: The system has no seccomp notifications, or does not allow them.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setpgid(0, 0)
            ours.close()
            _install(theirs)
            theirs.close()
            status = work()
        finally:
            os._exit(status)
    theirs.close()
    with ours:
        try:
            said, listeners, _, _ = socket.recv_fds(ours, 20, 1)
            if not listeners:
                raise OSError(int(said or b"0"), "seccomp")
            changes = _Supervisor(child, listeners[0], folder.resolve(), decide).run(limit)
        finally:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what it started: Dagster copies a step's output by `tail`
    return Watched(os.waitstatus_to_exitcode(status), changes)


def _install(parent: socket.socket) -> None:
    """Put this process under the filter and give the parent the filter's listener."""
    numbers = list(_CALLS)
    program = [(_LOAD, 0, 0, 0)]  # the call's number
    program += [(_JUMP_IF_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener = libc.syscall(_SECCOMP, 1, 8, header)  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER
    if listener < 0:
        parent.sendmsg([str(ctypes.get_errno()).encode()])
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(parent, [b"."], [listener])
    os.close(listener)


class _Supervisor:
    def __init__(self, child: int, listener: int, folder: Path, decide: Decide) -> None:
        self._child, self._listener, self._decide = child, listener, decide
        self._folder = f"{folder}/"
        self._changes: list[Change] = []

    def run(self, limit: float) -> list[Change]:
        end = time.monotonic() + limit
        alive = os.pidfd_open(self._child)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(alive, select.POLLIN)
        try:
            while True:
                ready = dict(poll.poll(1000))
                if ready.get(self._listener, 0) & select.POLLIN:
                    self._answer()
                elif alive in ready:
                    return self._changes
                elif time.monotonic() > end:
                    os.kill(self._child, signal.SIGKILL)
                    raise TimeoutError(f"not done after {limit:.0f} s and {len(self._changes)} changes")
        finally:
            os.close(alive)
            os.close(self._listener)

    def _answer(self) -> None:
        request = bytearray(80)
        try:
            fcntl.ioctl(self._listener, _RECEIVE, request)
        except OSError:
            return  # the caller is gone
        ticket, thread, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", request)
        change = self._change(thread, _CALLS[number], arguments)
        result = PASS
        if change:
            self._changes.append(change)
            result = self._decide(len(self._changes), change)
        if result == KILL:
            os.kill(self._child, signal.SIGKILL)
            return
        answer = struct.pack("QqiI", ticket, 0, -result, 0 if result else _CONTINUE)
        try:
            fcntl.ioctl(self._listener, _SEND, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:  # the caller is gone
                raise

    def _change(self, thread: int, call: str, arguments: list[int]) -> Change | None:
        """Return what a call would change, or None if it concerns nothing that is watched."""
        try:
            if call in _BY_FD:
                what = str(Path(f"/proc/{thread}/fd/{arguments[0] & 0xFFFFFFFF}").readlink())
                if what.startswith("socket:"):
                    return Change(call, "a socket")
            else:
                if call == "openat" and not arguments[2] & os.O_CREAT:
                    return None
                what = _text(thread, arguments[call in _BY_FOLDER_AND_PATH])
        except OSError:
            return None
        return Change(call, what.removeprefix(self._folder)) if what.startswith(self._folder) else None


def _text(thread: int, address: int) -> str:
    """Read a path from a process's memory."""
    with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        page = 4096 - address % 4096  # what follows the page may not be there
        text = memory.read(page)
        if b"\0" not in text:
            text += memory.read(4096)
    return os.fsdecode(text.partition(b"\0")[0])
