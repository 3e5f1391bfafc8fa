"""Runs a program on a terminal of its own and types at it.

    type.py SCRIPT [SCREEN] -- PROGRAM [ARGUMENT…]

SCRIPT is JSON: a list of [seconds, text], "hangup", with which the terminal goes away, or "kill". Each text is typed once so
many seconds have passed and the program shows nothing new, so that a loaded machine only makes it slower. After the
last one the program has 20 seconds to end by itself. What it showed goes to the file SCREEN, and SCREEN.done is made
once it is over.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

# A program that works shows something new a few times a second.
STILL, PATIENCE = 1.5, 45
ENDS = {"hangup": signal.SIGHUP, "kill": signal.SIGKILL}

mark = sys.argv.index("--")
script = json.loads(sys.argv[1])
screen = open(sys.argv[2] if mark > 2 else os.devnull, "ab", buffering=0)
command = sys.argv[mark + 1 :]
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm-256color"
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))


def read_for(seconds, still=0.0):
    """Takes what the program shows for a while, and then until it is still; whether it still runs."""
    start = newest = time.time()
    while True:
        now = time.time()
        left = max(start + seconds, min(newest + still, start + seconds + PATIENCE)) - now
        if left <= 0:
            return True
        if select.select([terminal], [], [], left)[0]:
            try:
                shown = os.read(terminal, 65536)
            except OSError:
                return False
            if not shown:
                return False
            screen.write(shown)
            newest = time.time()


for step in script:
    if isinstance(step, str):
        os.kill(child, ENDS[step])
        continue
    if not read_for(step[0], STILL):
        break
    os.write(terminal, step[1].encode())
if read_for(20):
    os.kill(child, 15)
os.waitpid(child, 0)
if mark > 2:
    open(sys.argv[2] + ".done", "w").close()
