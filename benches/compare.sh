#!/usr/bin/env bash
# Compares the program with what others do on the same tree, in turn: find, fd, systemd-tmpfiles, other cleaners of
# Claude Code as far as they are installed, and the program of the last release.
#
#   benches/compare.sh                       all rows, 100,000 files, 5 rounds
#   benches/compare.sh /usr/bin/ccretain     the same, and each row against that program
#   FILES=20000 ROUNDS=7 benches/compare.sh
#
# STORE_MAKER   what makes the store: called as `STORE_MAKER ROOT --files N --now SECONDS` (benches/make_store.py)
# CCRETAIN      the program (target/dist/ccretain, built when missing)
# BEFORE        the program of the last release; else that of the last tag, where there is one: it is built
# WORK          where the copies lie, best a tmpfs (a folder in /dev/shm)
# SEAL          `no` leaves out sealing (benches/seal.sh)
#
# Each row is a ratio of medians of runs taken in turn, whole processes, warm caches, for the time that passes and for
# that of the processors. Times move between two moments of the same machine; ratios of one row do not. `find` uses one
# core, the program all of them. A row with a target says whether it is met.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${FILES:=100000}" "${ROUNDS:=5}" "${STORE_MAKER:=benches/make_store.py}"
shm=/dev/shm
[ -w "$shm" ] || shm=${TMPDIR:-/tmp}
WORK=${WORK:-$(mktemp -d "$shm/ccretain-compare.XXXXXX")}
trap 'rm -rf "$WORK"' EXIT
# What the last release was: its program, or its tag.
: "${BEFORE:=${1:-}}"
if [ -z "$BEFORE" ] && tag=$(git describe --tags --abbrev=0 2>/dev/null); then
  BEFORE=target/before/$tag/dist/ccretain
  if [ ! -x "$BEFORE" ]; then
    git worktree add --quiet --force --detach "target/before/tree" "$tag"
    (cd target/before/tree && CARGO_TARGET_DIR="$OLDPWD/target/before/$tag" cargo build --profile dist --locked)
    git worktree remove --force target/before/tree
  fi
fi
export STORE_MAKER FILES ROUNDS WORK BEFORE PYTHONPATH=benches PYTHONDONTWRITEBYTECODE=1
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
before = str(Path(os.environ["BEFORE"]).resolve()) if os.environ["BEFORE"] else None
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
    """Runs each command once a round; of each the medians of its seconds and processor seconds, and its most memory."""
    seconds, busy, memory = ({name: [] for name in commands} for _ in range(3))
    for number in range(count + 1):
        for name, make_command in commands.items():
            root = prepare(name)
            took, most, processor = run(make_command(root), root)
            if number > 0:  # The first round warms the caches.
                seconds[name].append(took)
                busy[name].append(processor)
            memory[name].append(most)
    return {name: (median(seconds[name]), median(busy[name]), max(memory[name])) for name in commands}

def row(what, own, other, yardstick, target=None, busy_target=None, release=None):
    """One line: own seconds, the other's, their ratio, that of the processors, and the ratio to the last release."""
    ratio, busy = own[0] / other[0], own[1] / max(other[1], 0.001)
    said = []
    for name, value, most in (("", ratio, target), ("processor ", busy, busy_target)):
        if most:
            said.append(f"{name}{'met' if value <= most else 'MISSED'}: {most} wanted")
    release = f"{own[0] / release[0]:5.2f} x" if release else "   none"
    print(f"{what:<42} {own[0]:8.3f} s {other[0]:8.3f} s {ratio:6.2f} x {busy:6.2f} x {release}  {yardstick}"
          f"{'  (' + ', '.join(said) + ')' if said else ''}", flush=True)

def find(root):
    return ["find", str(store(root)), "-type", "f", "-printf", r"%p %s %T@\n"]

def find_delete(root):
    limit = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now - 30 * 86400))
    return ["find", str(store(root)), "-type", "f", "!", "-newermt", f"{limit} UTC", "-delete"]

def find_delete_folders(root):
    # What a run does besides: the folders of what went, which find leaves empty.
    folders = ["find", str(store(root)), "-mindepth", "2", "-type", "d", "-empty", "-delete"]
    return ["sh", "-c", f"{shlex.join(find_delete(root))} && {shlex.join(folders)}"]

def program_of(name):
    return before if name == "release" else program

def dry_run(name="own"):
    return lambda root: [program_of(name), "--no-progress", "enforce", "--dry-run"]

def enforce(name="own"):
    return lambda root: [program_of(name), "--no-progress", "enforce", "--yes"]

def with_release(commands, make_command):
    """The same, and what the program of the last release does."""
    return {**commands, "release": make_command("release")} if before else commands

fd = shutil.which("fd") or shutil.which("fdfind")
peers = {}
if fd:
    peers["fd --changed-before"] = lambda root: [fd, "-H", "-I", "-t", "f", "--changed-before", "30d", ".", str(store(root))]
if cleaner := shutil.which("claude-cleaner"):
    peers["claude-cleaner --dry-run"] = lambda root: [cleaner, "--clean", "--dry-run", "--older-than", "30", "--path", str(store(root))]
if midden := shutil.which("midden"):
    peers["midden doctor"] = lambda root: [midden, "doctor"]
missing = [name for name, there in (("fd", fd), ("claude-cleaner", shutil.which("claude-cleaner")),
                                    ("midden", shutil.which("midden")), ("systemd-tmpfiles", shutil.which("systemd-tmpfiles"))) if not there]

def tmpfiles(root):
    # By modification time alone: a copied tree is never old by the others.
    (root / "clean.conf").write_text(f"e {store(root)} - - - mM:30d\n")
    return ["systemd-tmpfiles", "--clean", str(root / "clean.conf")]

print(f"{files} files, {rounds} rounds, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
print(f"last release: {before or 'there is none to compare with'}")
if missing:
    print(f"not installed, so not compared: {', '.join(missing)}")
print(f"{'':<42} {'own':>8}   {'other':>8}   {'ratio':>6}   {'proc.':>6}   {'release':>7}")

# 1. The plan over everything against a find that prints as much of each file.
big = home("big")
make(big, files)
if before:
    # A state of its own: what another version remembers is nothing to this one.
    of_release = home("big-release")
    subprocess.run(["cp", "-a", str(store(big)), str(store(of_release))], check=True)
# A look remembers what transcripts said, so the first and the next ones differ.
def forgetful(name):
    root = of_release if name == "release" else big
    if name == "first":
        (root / "state/dates.json").unlink(missing_ok=True)
    return root

time.sleep(4)  # What changed moments ago is not remembered.
found = in_turn(with_release({"first": dry_run(), "own": dry_run(), "find": find, **peers}, dry_run), forgetful)
row("plan (dry run), nothing remembered", found["first"], found["find"], "find -printf")
row("plan (dry run)", found["own"], found["find"], "find -printf", 0.5, 0.75, found.get("release"))
for peer in peers:
    row("the same", found["own"], found[peer], peer)
plan = found["own"]

# 2. Deleting what has expired, each time from a fresh copy.
def fresh(count, source):
    def prepare(name):
        root = work / f"copy-{name}"
        shutil.rmtree(root, ignore_errors=True)
        home(root.name)
        subprocess.run(["cp", "-a", str(store(source)), str(store(root))], check=True)
        return root
    return prepare

whole = len(subprocess.run(find(big), capture_output=True, check=True).stdout.splitlines())
deleting = {"own": enforce(), "find": find_delete, "both": find_delete_folders}
if "systemd-tmpfiles" not in missing:
    deleting["tmpfiles"] = tmpfiles
found = in_turn(with_release(deleting, enforce), fresh(files, big))
row("delete what has expired", found["own"], found["find"], "find -delete")
row("the same", found["own"], found["both"], "find -delete, and the emptied folders", 0.55, None, found.get("release"))
if "tmpfiles" in found:
    row("the same", found["own"], found["tmpfiles"], "systemd-tmpfiles --clean")
delete = found["own"]
left = {name: len(subprocess.run(find(work / f"copy-{name}"), capture_output=True, check=True).stdout.splitlines())
        for name in ("own", "find")}
print(f"  of {whole} files find left {left['find']}, ccretain {left['own']} (its lock is one of them)")

# 3. A run that finds nothing to do against a dry run of the same tree.
rest = work / "copy-own"
rest_of_release = work / "copy-release"
found = in_turn(with_release({"own": enforce(), "dry": dry_run()}, enforce),
                lambda name: rest_of_release if name == "release" else rest)
row("nothing due", found["own"], found["dry"], "its own dry run", 1.05, None, found.get("release"))
for path in work.glob("copy-*"):
    shutil.rmtree(path, ignore_errors=True)

# 4. Growth: ten times the files.
small = home("small")
make(small, files // 10)
found = in_turn({"own": dry_run()}, lambda name: small)
row("growth of the plan, a tenth to all", plan, found["own"], "10 is linear", 11)
found = in_turn({"own": enforce()}, fresh(files // 10, small))
row("growth of deleting, a tenth to all", delete, found["own"], "10 is linear", 11)

most = 400 * max(files, 100_000) / 1_000_000
for what, memory in (("plan", plan[2]), ("delete", delete[2])):
    verdict = "met" if memory <= most * 1e6 else "MISSED"
    print(f"{'most memory, ' + what:<42} {memory / 1e6:8.1f} MB  ({verdict}: {most:.0f} MB wanted, of 400 for a million files)")
PYTHON
rm -rf "$WORK"
[ "${SEAL:-}" = no ] || WORK='' exec benches/seal.sh
