"""Child processes and temporary directories that end with this process, whatever ends it."""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOOPBACK = "127.0.0.1"

# A port of the range from which Linux takes source ports (32768 up) can be lost to an outgoing connection
# while the broker restarts, and a client that reconnects to it meanwhile can end up connected to itself.
_PORTS = range(12_000, 32_000)

# Asks Linux to kill this process when its parent dies, then becomes the wanted program under the same pid.
# A program of its own and not `preexec_fn`, which is unsafe in a process with threads.
_LAUNCHER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent process is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""

# Linux means "the thread that started it" when it says parent: a broker started from a short-lived thread
# would be killed when that thread ends. This one thread starts all, and lives as long as the interpreter.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker-starter")


# Reads until the parent, who alone can write to it, is gone; then removes what it left. The broker dies at the same
# time, and may write a little longer than the first try takes.
_SWEEPER = """
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && [ ! -e "$1" ] && exit; sleep 0.5; done
"""


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    Raises
    ------
    OSError
        If a hundred random tries found none.
    """
    for port in random.sample(_PORTS, 100):
        if not is_listening(port) and _can_bind(port):
            return port
    raise OSError(f"no free port found on {LOOPBACK} between {_PORTS.start} and {_PORTS.stop}")


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class TemporaryDirectory:
    """A new directory that is removed with all that is in it, at the latest when this process ends, whatever ends it.

    A signal that kills leaves a process no time to clean up, so a small one beside it waits for its end.

    Parameters
    ----------
    prefix
        The beginning of the directory's name.

    Examples
    --------
    >>> directory = TemporaryDirectory("example-")
    >>> directory.path.is_dir()
    True
    >>> directory.cleanup()
    >>> directory.path.exists()
    False
    """

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        # In a session of its own, Ctrl-C in the terminal does not end it before its work is done.
        self._sweeper = subprocess.Popen(
            ["/bin/sh", "-c", _SWEEPER, "sh", str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def cleanup(self) -> None:
        """Remove the directory now. Do nothing if that is done already."""
        shutil.rmtree(self.path, ignore_errors=True)
        # The pipe is closed, and if anything is left it is removed now.
        self._sweeper.communicate()


class ChildProcess:
    """A program running in the background, its output in a file.

    It runs in a session of its own, so that Ctrl-C in the terminal reaches this process alone, which then decides the
    order in which things stop. On Linux the kernel kills it when this process dies without a chance to clean up.

    Parameters
    ----------
    command
        Program (an absolute path) and arguments.
    log
        File that the output is appended to.
    environment
        All environment variables of the process; by default those of this process.
    """

    def __init__(self, command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None) -> None:
        if sys.platform == "linux":
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        self.log = log
        with log.open("ab") as output:
            self._popen = _starter.submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            ).result()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, or :obj:`None` while the process runs."""
        return self._popen.poll()

    def stop(self, grace: float = 10.0) -> None:
        """End the process: ask, wait up to ``grace`` seconds, then kill. Do nothing if it has ended already."""
        self._popen.terminate()
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill the process now, and wait until it is gone."""
        self._popen.kill()
        self._popen.wait()
