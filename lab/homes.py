#!/usr/bin/env python3
"""Races in a hostile home: root serves all accounts while one of them exchanges what is hers.

    lab/homes.py PROGRAM [--seconds N] [--rounds N] [--only COMMAND[+COMMAND]] [--seed N]

With her own rights, an account exchanges a file or a folder of her home or temp tree for a link to the like of it outside,
for a file that is hard-linked from there, or for a FIFO, again and again. Outside lie root's files and another account's,
with the very names and open to everybody, so that whoever follows a link changes them: nothing of them changes, ever. The
other account is served all the same, nothing in a home belongs to anybody else afterwards, and the ledger holds. Needs root."""

import collections
import os
import random
import shutil
import subprocess
import sys
import time

from cases import chosen_of
from races import Exchanging, outside_of, summary
from world import DAY, World, ledger, options_of, scratch, session_id, shield

UIDS = {"ann": 58_201, "eve": 58_202}
COMMANDS = {
    "enforce": ["--all-users", "enforce", "--yes", "--json"],
    "check --fix": ["--all-users", "check", "--fix", "--json"],
    "purge": ["--all-users", "purge", "--yes", "--json"],
}
DUE, IDLE, YOUNG = 1, 2, 3
FOLDERS = [
    ".claude", ".claude/projects", ".claude/projects/-work-acme", f".claude/projects/-work-acme/{session_id(DUE)}",
    f".claude/file-history/{session_id(DUE)}", ".claude/file-history", ".claude/debug", ".claude/ccretain",
    ".claude/ccretain/sealed", ".config", ".config/ccretain", ".local", ".local/state", ".local/state/ccretain", "TEMP",
    "TEMP/-work-acme", f"TEMP/-work-acme/{session_id(DUE)}",
]
FILES = [
    f".claude/projects/-work-acme/{session_id(DUE)}.jsonl", f".claude/debug/{session_id(DUE)}.txt",
    f".claude/projects/-work-acme/{session_id(IDLE)}.jsonl", ".claude/history.jsonl", ".claude/settings.json",
    ".claude/ccretain/lock", ".config/ccretain/policy.json", ".local/state/ccretain/state.json", ".claude.json",
]
#: The machine that a run sees has these accounts, and folders of its own where things of this one are.
SCRIPT = """set -e; root=$1; tools=$2; shift 2; PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t overlay overlay -o "lowerdir=$root/etc:/etc" /etc
[ "$(getent passwd)" = "$(cat "$root/etc/passwd")" ] || exit 99
for real in /root /home; do mount -t tmpfs tmpfs "$real"; done
mount --bind "$root/log" /var/log
mount --bind "$root/tmp" /tmp
PATH=$tools; export PATH; exec "$@\""""


class Machine(World):
    """A world of accounts; what is put into it is of one of them."""

    person = "root"

    @property
    def home(self):
        return self.root / "homes" / self.person

    @property
    def temp(self):
        return self.root / f"tmp/claude-{UIDS[self.person]}"

    def begin(self):
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in ("etc/ccretain", "log", "homes/root", "tmp", "state", "config"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "tmp").chmod(0o1777)
        accounts = [("root", 0), *UIDS.items()]
        lines = [f"{name}:x:{uid}:{uid}:{name}:{self.root}/homes/{name}:/bin/sh\n" for name, uid in accounts]
        (self.root / "etc/passwd").write_text("".join(lines))
        (self.root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\n")
        policy = '{"version": 1, "rules": [{"name": "all", "sealAfter": "1d", "deleteAfter": "30d"}], "recipients": ["%s"]}'
        key = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
        (self.root / "etc/ccretain/policy.json").write_text(policy % key)
        for self.person, uid in UIDS.items():
            (self.store / "projects").mkdir(parents=True)
            for number, age in ((DUE, 40 * DAY), (IDLE, 5 * DAY), (YOUNG, 7200)):
                self.line(self.session(number, age), age)
            for path in (".claude.json", ".claude/settings.json", ".config/ccretain/policy.json"):
                self.put(self.home / path, '{"version": 1}' if "policy" in path else "{}", DAY)
            (self.home / ".local/state/ccretain").mkdir(parents=True)
            for folder in (self.home, self.temp):
                folder.chmod(0o700)
                subprocess.run(["chown", "-R", f"{uid}:{uid}", folder], check=True)
        self.person = "root"
        self.variables["HOME"] = str(self.home)

    def all_users(self, *arguments):
        through = ["/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-c", SCRIPT, "sh", self.root, self.folder / "bin"]
        return self.run(*arguments, through=through, timeout=180)

    def not_their_own(self):
        """What of an account's belongs to somebody else."""
        found = []
        for name, uid in UIDS.items():
            tops = self.root / "homes" / name, self.root / f"tmp/claude-{uid}"
            # A link that was left in the place of one leads outside.
            for top in (top for top in tops if not top.is_symlink()):
                for at, folders, names in os.walk(top):
                    found += [path for each in [*folders, *names] if os.lstat(path := os.path.join(at, each)).st_uid != uid]
        return found


def copies(world, folder):
    """What lies outside, once root's and once another account's, under the names that it has in a home."""
    made = []
    for name, uid in (("outside", 0), ("others", UIDS["ann"])):
        top = folder / name
        shutil.rmtree(top, ignore_errors=True)
        subprocess.run(["cp", "-a", world.root / "homes/eve", top], check=True)
        subprocess.run(["cp", "-a", world.root / f"tmp/claude-{UIDS['eve']}", top / "TEMP"], check=True)
        for path in FOLDERS:
            (top / path).mkdir(parents=True, exist_ok=True)
        for path in FILES:
            (top / path).touch()
        subprocess.run(["chown", "-R", f"{uid}:{uid}", top], check=True)
        subprocess.run(["chmod", "-R", "a+rwX", top], check=True)
        made.append(top)
    return made


def arm(world, made, random_):
    """What is exchanged for what, put aside."""
    aside = world.root / "aside"
    aside.mkdir()
    how = random_.choice(["folder", "folder", "folder", "file", "file", "hard link", "fifo"])
    path = random_.choice(FOLDERS if how == "folder" else FILES)
    own = world.root / f"tmp/claude-{UIDS['eve']}{path[4:]}" if path.startswith("TEMP") else world.root / "homes/eve" / path
    theirs = random_.choice(made) / path
    if how == "hard link":
        os.link(theirs, aside / "other")
    elif how == "fifo":
        os.mkfifo(aside / "other", 0o600)
        os.chown(aside / "other", UIDS["eve"], UIDS["eve"])
    else:
        os.symlink(theirs, aside / "other")
        os.lchown(aside / "other", UIDS["eve"], UIDS["eve"])
    # A folder of ours is made by the first run, and may as well be hers.
    if not own.exists():
        own.mkdir(parents=True) if how == "folder" else (own.parent.mkdir(parents=True, exist_ok=True), own.touch())
        subprocess.run(["chown", "-R", f"{UIDS['eve']}:{UIDS['eve']}", world.root / "homes/eve"], check=True)
    os.chown(aside, UIDS["eve"], UIDS["eve"])
    return how, path, [(own, aside / "other")]


def one(world, name, made, random_):
    """One round: gives what happened, how often it was exchanged, and what is wrong."""
    world.load("template")
    how, path, pairs = arm(world, made, random_)
    before = [outside_of(top) for top in made]
    with Exchanging(pairs, uid=UIDS["eve"]) as count:
        done = world.all_users(*COMMANDS[name])
    wrong = []
    for top, old in zip(made, before):
        new = outside_of(top)
        wrong += [f"changed outside: {top.name}/{each}" for each in {**old, **new} if old.get(each) != new.get(each)]
    if done.returncode < 0 or done.returncode in (99, 101, 126, 127):
        wrong.append(f"ends with {done.returncode}: {done.stderr[:600]}")
    ann = world.root / "homes/ann/.claude/projects/-work-acme"
    due, young = ((ann / f"{session_id(number)}.jsonl").exists() for number in (DUE, YOUNG))
    if name == "enforce" and (due or not young) or name == "check --fix" and not (due and young):
        wrong.append(f"the other account was not served: exit {done.returncode}: {done.stderr[:600]}")
    # What was exchanged for a hard link is whoever's it was.
    wrong += [f"'{each}' belongs to another" for each in world.not_their_own() if how != "hard link"][:4]
    broken = ledger(world)[1]
    wrong += [broken] if broken else []
    return f"{name}, {how} {path}", done.returncode, count.value, wrong


def main():
    parser = options_of(__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000, help="of each command")
    parser.add_argument("--only", type=lambda text: chosen_of(text, COMMANDS))
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("unshare") or not os.access("/dev/shm", os.W_OK):
        print("SKIPPED: hostile homes need root, unshare and /dev/shm")
        return 0
    shield(needs_mounts=True)
    folder = scratch()
    folder.chmod(0o755)
    program = folder / "ccretain"
    shutil.copy(options.program, program)
    program.chmod(0o755)
    random_, deadline = random.Random(options.seed), time.monotonic() + options.seconds
    names = [name for name in COMMANDS if not options.only or name in options.only]
    rounds, exits, wrong, exchanges = collections.Counter(), collections.Counter(), 0, 0
    try:
        world = Machine(folder, program)
        world.begin()
        # Whether the machine is one at all, with nobody in the way.
        world.save("template")
        first = world.all_users(*COMMANDS["enforce"])
        if first.returncode != 0:
            raise SystemExit(f"a run that nobody disturbs ends with {first.returncode}: {first.stderr}")
        world.load("template")
        made = copies(world, folder)
        for at, name in enumerate(names):
            until = time.monotonic() + (deadline - time.monotonic()) / (len(names) - at)
            while time.monotonic() < until and rounds[name] < options.rounds:
                what, code, count, faults = one(world, name, made, random_)
                exchanges += count
                rounds[name] += 1
                exits[name, code] += 1
                wrong += bool(faults)
                for fault in faults:
                    print(f"  {what}: {fault}", flush=True)
                if faults:
                    world.load("template")
                    made = copies(world, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return summary("homes", rounds, exits, exchanges, wrong, options.seed)


if __name__ == "__main__":
    sys.exit(main())
