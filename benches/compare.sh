#!/usr/bin/env bash
# Compares the program with what a script of find would do, on the same tree, in turn.
#
#   benches/compare.sh            all rows, 100,000 files, 5 rounds
#   FILES=20000 ROUNDS=7 benches/compare.sh
#
# STORE_MAKER   what makes the store: called as `STORE_MAKER ROOT --files N --now SECONDS` (benches/make_store.py)
# CCRETAIN      the program (target/dist/ccretain, built when missing)
# WORK          where the copies lie, best a tmpfs (a folder in /dev/shm)
#
# Each row is a ratio of medians of runs taken in turn, whole processes, warm caches. Times move between two moments of
# the same machine; ratios of one row do not. `find` uses one core, the program all of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${FILES:=100000}" "${ROUNDS:=5}" "${STORE_MAKER:=benches/make_store.py}"
shm=/dev/shm
[ -w "$shm" ] || shm=${TMPDIR:-/tmp}
WORK=${WORK:-$(mktemp -d "$shm/ccretain-compare.XXXXXX")}
trap 'rm -rf "$WORK"' EXIT
export STORE_MAKER FILES ROUNDS WORK PYTHONPATH=benches PYTHONDONTWRITEBYTECODE=1
exec 3>&1
python3 - <<'PYTHON'
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

import common
from common import median, run

work, program, maker = Path(os.environ["WORK"]), common.program(), os.environ["STORE_MAKER"]
files, rounds = int(os.environ["FILES"]), max(5, int(os.environ["ROUNDS"]))
now = int(time.time())
null = subprocess.DEVNULL

def home(name):
    # The guards against mistakes of a real machine are not what is measured.
    return common.home(work / name, '{"version":1,"guard":"off","rules":[{"name":"all","deleteAfter":"30d"}]}')

def store(root):
    return root / "home/.claude"

def make(root, count):
    store(root).mkdir(mode=0o700, exist_ok=True)
    subprocess.run([maker, str(store(root)), "--files", str(count), "--now", str(now)], check=True, stdout=null)

def in_turn(commands, prepare=lambda name: None, count=rounds):
    """Runs each command once a round; the medians of their seconds and the most memory of each."""
    seconds, memory = {name: [] for name in commands}, {name: 0 for name in commands}
    for number in range(count + 1):
        for name, make_command in commands.items():
            root = prepare(name)
            took, most, _ = run(make_command(root), root)
            if number > 0:  # The first round warms the caches.
                seconds[name].append(took)
            memory[name] = max(memory[name], most)
    return {name: median(values) for name, values in seconds.items()}, memory

def row(what, own, other, yardstick):
    print(f"{what:<44} {own:9.3f} s {other:9.3f} s  {own / other:6.2f} x  {yardstick}", flush=True)

def find(root):
    return ["find", str(store(root)), "-type", "f", "-printf", r"%p %s %T@\n"]

def find_delete(root):
    limit = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now - 30 * 86400))
    return ["find", str(store(root)), "-type", "f", "!", "-newermt", f"{limit} UTC", "-delete"]

def find_delete_folders(root):
    # What a run does besides: the folders of what went, which find leaves empty.
    folders = ["find", str(store(root)), "-mindepth", "2", "-type", "d", "-empty", "-delete"]
    return ["sh", "-c", f"{shlex.join(find_delete(root))} && {shlex.join(folders)}"]

def dry_run(root):
    return [program, "--no-progress", "enforce", "--dry-run"]

def enforce(root):
    return [program, "--no-progress", "enforce", "--yes"]

print(f"{files} files, {rounds} rounds, {os.cpu_count()} cores")
print(f"{'':<44} {'own':>9}   {'other':>9}    {'ratio':>6}")

# 1. The plan over everything against a find that prints as much of each file.
big = home("big")
make(big, files)
# A look remembers what transcripts said, so the first and the next ones differ.
def forgetful(name):
    if name == "first":
        (big / "state/dates.json").unlink(missing_ok=True)
    return big

time.sleep(4)  # What changed moments ago is not remembered.
medians, memory = in_turn({"first": dry_run, "own": dry_run, "find": find}, forgetful)
row("plan (dry run), nothing remembered", medians["first"], medians["find"], "find -printf")
row("plan (dry run)", medians["own"], medians["find"], "find -printf")
plan, plan_memory = medians["own"], memory["own"]

# 2. Deleting what has expired, each time from a fresh copy.
def fresh(count, source):
    def prepare(name):
        root = work / f"copy-{name}"
        shutil.rmtree(root, ignore_errors=True)
        home(root.name)
        subprocess.run(["cp", "-a", str(store(source)), str(store(root))], check=True)
        return root
    return prepare

before = len(subprocess.run(find(big), capture_output=True, check=True).stdout.splitlines())
deleting = {"own": enforce, "find": find_delete, "both": find_delete_folders}
medians, memory = in_turn(deleting, fresh(files, big))
row("delete what has expired", medians["own"], medians["find"], "find -delete")
row("the same", medians["own"], medians["both"], "find -delete, and the emptied folders")
delete, delete_memory = medians["own"], memory["own"]
left = {name: len(subprocess.run(find(work / f"copy-{name}"), capture_output=True, check=True).stdout.splitlines())
        for name in ("own", "find")}
print(f"  of {before} files find left {left['find']}, ccretain {left['own']} (its lock is one of them)")

# 3. A run that finds nothing to do against a dry run of the same tree.
rest = work / "copy-own"
medians, memory = in_turn({"own": enforce, "dry": dry_run}, lambda name: rest)
row("nothing due", medians["own"], medians["dry"], "its own dry run")
for name in ("find", "both"):
    shutil.rmtree(work / f"copy-{name}", ignore_errors=True)
shutil.rmtree(rest, ignore_errors=True)

# 4. Growth: ten times the files.
small = home("small")
make(small, files // 10)
medians, _ = in_turn({"own": dry_run}, lambda name: small)
row("growth of the plan, a tenth to all", plan, medians["own"], "10 is linear")
medians, _ = in_turn({"own": enforce}, fresh(files // 10, small))
row("growth of deleting, a tenth to all", delete, medians["own"], "10 is linear")

print(f"{'most memory, plan':<44} {plan_memory / 1e6:9.1f} MB")
print(f"{'most memory, delete':<44} {delete_memory / 1e6:9.1f} MB")
PYTHON
