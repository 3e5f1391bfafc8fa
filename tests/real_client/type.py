"""Runs a program on a terminal of its own and types at it.

    type.py SCRIPT -- PROGRAM [ARGUMENT…]

SCRIPT is JSON: a list of [seconds, text]; each text is typed once so many seconds have passed. After the last one the
program has 20 seconds to end by itself.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

script = json.loads(sys.argv[1])
command = sys.argv[sys.argv.index("--") + 1 :]
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm-256color"
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))


def read_for(seconds):
    """Takes what the program shows; whether it still runs."""
    end = time.time() + seconds
    while (left := end - time.time()) > 0:
        if select.select([terminal], [], [], left)[0]:
            try:
                if not os.read(terminal, 65536):
                    return False
            except OSError:
                return False
    return True


for seconds, text in script:
    if not read_for(seconds):
        break
    os.write(terminal, text.encode())
if read_for(20):
    os.kill(child, 15)
os.waitpid(child, 0)
