"""What the comparisons share: the program, a home of its own for each run, runs as whole processes, and medians."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

__all__ = ["environment", "home", "median", "program", "run"]

NULL = subprocess.DEVNULL


def program():
    """The program: that of CCRETAIN, else the build of the profile `dist`, as packages have it, made when it is missing."""
    if named := os.environ.get("CCRETAIN"):
        return named
    subprocess.run(["cargo", "build", "--profile", "dist", "--locked"], check=True)
    return str(Path("target/dist/ccretain").resolve())


def home(root, policy):
    """A home of its own: folders for store, state, policy and temp tree, and a policy."""
    for folder in ("home", "state", "config", "tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    (root / "config/policy.json").write_text(policy)
    return root


def environment(root):
    """The whole environment of a run: nothing of the account that measures."""
    return {
        "HOME": str(root / "home"), "PATH": os.environ["PATH"], "TZ": "UTC", "TMPDIR": str(root / "tmp"),
        "CLAUDE_CODE_TMPDIR": str(root / "tmp"), "CCRETAIN_STATE_DIR": str(root / "state"),
        "CCRETAIN_CONFIG_DIR": str(root / "config"), "XDG_CONFIG_HOME": str(root / "home/.config"),
        "XDG_CACHE_HOME": str(root / "home/.cache"), "XDG_STATE_HOME": str(root / "home/.local/state"),
    }


def run(command, root):
    """Seconds of one run, the most memory it had in bytes, and its processor seconds; it must end well."""
    # What the system says of a child's memory includes that of the process it was forked from, which is this one here:
    # GNU time is a small one in between.
    memory, gnu_time = root / "memory", shutil.which("time")
    if gnu_time:
        command = [gnu_time, "-q", "-f", "%M", "-o", str(memory), *command]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment(root), stdout=NULL, stderr=subprocess.PIPE)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command} ended with {process.returncode}: {said.decode(errors='replace')[:2000]}")
    most = int(memory.read_text()) if gnu_time else used.ru_maxrss
    return took, most * 1024, used.ru_utime + used.ru_stime
