"""Becomes a program that dies with the process that started it: `python tied_program.py PROGRAM ARGUMENTS…`.

Not a `preexec_fn`: that runs Python in a fork of a process in which gRPC has threads, and now and then it aborts.
"""

import ctypes
import os
import signal
import sys

SET_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    os.execv(sys.argv[1], sys.argv[1:])
