"""Runs a command on a pseudo terminal, types what comes on standard input, prints what it says and ends as it ends.

COLUMNS says how wide the terminal is; without it the terminal does not tell. TYPE_AFTER names the text to wait for, and
MEANWHILE what a shell does before anything is typed.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios

typed = sys.stdin.buffer.read()
after = os.environ.pop("TYPE_AFTER", "").encode()
meanwhile = os.environ.pop("MEANWHILE", "")
pid, terminal = pty.fork()
if pid == 0:
    # A shell that runs the tests in the background ignores it for all of them.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if "COLUMNS" in os.environ:
        size = struct.pack("HHHH", 40, int(os.environ.pop("COLUMNS")), 0, 0)
        fcntl.ioctl(sys.stdout, termios.TIOCSWINSZ, size)
    os.execvp(sys.argv[1], sys.argv[1:])
said = b""
while True:
    ready, _, _ = select.select([terminal], [], [], 60)
    if not ready:
        break
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    said += piece
    # A question ends without a line feed; that is the moment to answer.
    if typed and (after in said if after else not said.endswith(b"\n")):
        if meanwhile:
            subprocess.run(["sh", "-c", meanwhile], check=True, stdout=subprocess.DEVNULL)
        os.write(terminal, typed)
        typed = b""
sys.stdout.buffer.write(said)
sys.stdout.flush()
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
