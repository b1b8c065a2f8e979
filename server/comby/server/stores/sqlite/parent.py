"""Has a process end with the one that started it, however that ends."""

import ctypes
import os
import signal
import sys

SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, where it can; the end of a socket tells it everywhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
