"""Becomes a program of another user: `python unprivileged_program.py UID PROGRAM ARGUMENTS…`.

Not the `user` of subprocess: that forks a process in which gRPC has threads, and now and then the child dies of it.
"""

import os
import sys

if __name__ == "__main__":
    os.setuid(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
