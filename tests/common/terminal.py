"""Runs a command on a pseudo terminal, types what comes on standard input, prints what it says and ends as it ends."""

import os
import pty
import select
import sys

typed = sys.stdin.buffer.read()
pid, terminal = pty.fork()
if pid == 0:
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
    if typed and not said.endswith(b"\n"):
        os.write(terminal, typed)
        typed = b""
sys.stdout.buffer.write(said)
sys.stdout.flush()
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
