"""What the program makes of a world: whether it knows every file, and whether its promises hold 40 days later."""

import fnmatch
import hashlib
import json
import os
import re
import shutil
import stat
from dataclasses import dataclass, field

import worlds
from lab import CANARY

# Written beside the stores, and no data of anybody: a path below the world, and why.
NO_DATA = [
    ("home/.local/share/applications/claude-code-url-handler.desktop", "the handler of claude: links"),
    ("home/.config/mimeapps.list", "the same, for the desktop"),
    ("home/.local/share/applications/mimeinfo.cache", "the same, for the desktop"),
    ("home/.npm/*", "npm's own"),
    ("*/.bun*", "libraries that the program unpacks for itself"),
    ("systmp/.*-00000000.so", "libraries that the program unpacks for itself"),
    ("systmp/bun-*", "libraries that the program unpacks for itself"),
    ("systmp/node-compile-cache/*", "compiled code of node"),
    ("*/cc-socks/*", "sockets"),
    ("tmp/claude-*-cwd", "the folder that a command ended in, removed after it"),
]
# What belongs to a session and cannot be sealed: Claude Code removes it by its own date, sealed session or not.
PLAIN = {"pid-file", "job", "desktop-index", "team-config", "cowork-audit", "cowork-file"}
# Parts of a path that differ from run to run.
SHAPES = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<S>"),
    (r"projects/-[^/]*", "projects/<P>"),
    (r"claude-cli-nodejs/-[^/]*", "claude-cli-nodejs/<P>"),
    (r"tmp/claude-(\d+)/-[^/]*", r"tmp/claude-\1/<P>"),
    (r"[0-9a-f]{12,}", "<hex>"),
    (r"\d{4}-\d\d-\d\dT[\d-]+Z?", "<date>"),
    (r"\d{6,}", "<n>"),
    (r"\.tmp\.\d+\.", ".tmp.<n>."),
    (r"/\d+\.([0-9a-f]{8}\.)?(key|json|sock)", r"/<n>.\2"),
]


def shape(path):
    """A path with what differs from run to run taken out."""
    for form, word in SHAPES:
        path = re.sub(form, word, path)
    return path


@dataclass
class Judgement:
    """The figures of one world, and what is wrong with them."""

    world: str
    files: int = 0
    words: int = 0
    unknown: list = field(default_factory=list)
    enforced: str = "-"
    purged: str = "-"
    unsealed: str = "-"
    complaints: list = field(default_factory=list)

    def line(self):
        known = f"{self.files:5} {self.words:5} {len(self.unknown):7}"
        return f"{self.world:12} {known}  {self.enforced:24} {self.purged:24} {self.unsealed}"

    HEAD = (
        f"{'world':12} {'files':>5} {'words':>5} {'unknown':>7}  {'enforce':24} {'purge':24} seal, start, unseal"
    )


def items_of(world, report):
    """The items of a dry run by the path below the world."""
    tops = {"/tmp/": f"{world.folder}/systmp/"}
    roots = []
    for store in report["stores"]:
        root = store["root"] + "/"
        roots.append(next((root.replace(top, to, 1) for top, to in tops.items() if root.startswith(top)), root))
    return {os.path.normpath(roots[item["store"]] + item["path"]): item for item in report["items"]}


def catalogue(world, judgement):
    """What the program does not know of what was written."""
    inside, outside = world.written()
    # What is gone by now, a temporary file say, is judged by its name, as an empty file.
    for below in inside:
        path = world.folder / below
        if not path.exists() and not path.is_symlink():
            path.parent.mkdir(parents=True, exist_ok=True)
            pid = re.fullmatch(r"(\d+)\.json", path.name) if path.parent.name == "sessions" else None
            path.write_text(json.dumps({"pid": int(pid[1]), "sessionId": worlds.ID.format(1)}) if pid else "")
    report = json.loads(world.ccretain("enforce", "--dry-run", "-v", "--json").stdout)
    items = items_of(world, report)
    judgement.unknown += [("-", f"beside the scratch folders: {path}") for path in sorted(outside)]
    listed = {str(world.folder / below) for below in inside} | {str(path) for path in world.files()}
    # The name of a plan is content, and shown as a digest.
    named = {"/".join(path.split("/")[:-1]) for path in items if "/#" in path}
    for path in sorted(listed):
        below, item = os.path.relpath(path, world.folder), items.get(path)
        if any(fnmatch.fnmatch(below, known) for known, _ in NO_DATA) or below.startswith("project/"):
            continue
        if item is not None and item["reason"] == "unrecognised":
            judgement.unknown.append(("unrecognised", below))
        elif item is None and os.path.isfile(path) and os.path.dirname(path) not in named:
            judgement.unknown.append(("in no store", below))
    judgement.complaints += [str(error) for error in report.get("errors", [])]


def retained(world, judgement):
    """Whether anything of the conversations outlives retention and a purge, or does not outlive sealing."""
    world.let_pass(40)
    aged = world.copy("aged")
    done = world.ccretain("enforce", "--yes")
    left = world.left()
    judgement.enforced = f"exit {done.returncode}, {len(left)} left"
    if done.returncode != 0 or left:
        judgement.complaints.append(f"enforce left {left}: {done.stderr.strip()}")
    world.put_back(aged)

    done = world.ccretain("purge", "--yes", "--certificate", str(world.folder / "certificate.json"))
    certificate = json.loads((world.folder / "certificate.json").read_text()) if done.returncode in (0, 1) else {}
    left, verdict = world.left(), certificate.get("verdict")
    judgement.purged = f"{verdict}, {len(left)} left"
    if done.returncode != 0 or verdict != "complete" or left:
        why = [certificate.get("exceptions"), certificate.get("remaining"), done.stderr.strip()]
        judgement.complaints.append(f"purge ended with {done.returncode}, left {left}: {why}")
    world.put_back(aged)

    shutil.rmtree(aged)
    sealed(world, judgement)


def picture(world):
    """Everything that comes back with a file: its bytes or target, its mode, its time."""
    found = {}
    for path in world.files():
        if "ccretain" in path.relative_to(world.folder).parts:
            continue
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
        times = None if path.is_symlink() else status.st_mtime_ns
        found[str(path)] = (content, stat.S_IMODE(status.st_mode), times, status.st_size)
    return found


def starts_and_cleans_up(world):
    """Starts the client for as long as it takes until its own cleanup ran; what it said where it did not."""
    bait = world.home / ".claude/projects/-bait" / (worlds.ID.format(99) + ".jsonl")
    bait.parent.mkdir(parents=True, exist_ok=True)
    record = {"type": "user", "sessionId": worlds.ID.format(99), "cwd": "/bait", "entrypoint": "cli"}
    record |= {"timestamp": "2024-02-01T00:00:00.000Z", "version": "2.0.30", "message": {"role": "user", "content": "x"}}
    bait.write_text(json.dumps(record) + "\n")
    os.utime(bait, (1_706_745_600, 1_706_745_600))
    (world.home / ".claude/.last-cleanup").unlink(missing_ok=True)
    # Some versions clean up ten minutes after their start, which a faster clock brings forward.
    waits_long = (2, 1, 0) <= world.version < (2, 1, 100)
    wait = ["Bash", {"command": "sleep 400", "description": "wait", "timeout": 600_000}]
    waits = [wait, None, wait] if waits_long else [["Bash", {"command": "sleep 10", "description": "wait"}]]
    wrapper = ["faketime", "-f", "+0 x20"] if waits_long else []
    # On a loaded machine an answer may come too late by that clock.
    done = None
    for _ in range(3):
        done = world.client("-p", f"wait {worlds.call(*waits)}", "--allowedTools", "Bash", wrapper=wrapper, limit=180)
        if not bait.exists():
            return None
    return f"{done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}" if done else "nothing in time"


def sealed(world, judgement):
    """Seals every session, starts the client so that it cleans up, and unseals: every byte must be back."""
    world.ccretain("key", "new")
    form = r"/projects/[^/]*/([0-9a-f-]{36})\.jsonl$"
    sessions = sorted({found for path in world.files() for found in re.findall(form, str(path))})
    items = items_of(world, json.loads(world.ccretain("enforce", "--dry-run", "-v", "--json").stdout))
    before = picture(world)
    if not sessions:
        judgement.complaints.append("there is no session to seal")
        return
    done = world.ccretain("seal", *sessions)
    if done.returncode != 0:
        judgement.complaints.append(f"seal ended with {done.returncode}: {done.stderr.strip()}")
    taken = {path: before[path] for path in before.keys() - picture(world).keys()}
    said = starts_and_cleans_up(world)
    if said:
        judgement.complaints.append(f"the client did not clean up, so sealing proves nothing; it ended with {said}")
    done = world.ccretain("unseal", "--keep-date", *sessions)
    if done.returncode != 0:
        judgement.complaints.append(f"unseal ended with {done.returncode}: {done.stderr.strip()}")
    after = picture(world)
    back = [path for path in taken if after.get(path) == taken[path]]
    size = sum(taken[path][3] for path in back)
    judgement.unsealed = f"{len(back)} of {len(taken)} files, {size} bytes back"
    lost = [path for path in taken if path not in back]
    if lost or not taken:
        judgement.complaints.append(f"not given back: {[shape(path) for path in lost]}")
    # What stayed plain is the client's own to remove by its date, unless it was the session's.
    swept = [items.get(path, {}) for path in before.keys() - after.keys() - taken.keys()]
    # Files whose names are content are in no report by their name.
    kinds = [item.get("kind") or "unnamed" for item in swept]
    judgement.unsealed += "".join(f", {kinds.count(kind)} {kind} swept" for kind in sorted(set(kinds)))
    own = [item["path"] for item in swept if item.get("session") in sessions and item["kind"] not in PLAIN]
    if own:
        judgement.complaints.append(f"swept beside a sealed session: {[shape(path) for path in own]}")


def judge(make, world, asks_retention):
    """Makes a world and judges it."""
    judgement = Judgement(make.__name__)
    make(world)
    judgement.files, judgement.words = sum(1 for _ in world.files()), len(world.left())
    if not judgement.words:
        judgement.complaints.append("nothing was said, so nothing is learnt")
    for pattern, *versions in make.makes:
        if world.is_between(*versions) and not world.has_made(pattern):
            judgement.complaints.append(f"made no {pattern}, which it is for")
    kept = world.copy("kept")
    catalogue(world, judgement)
    world.put_back(kept)
    shutil.rmtree(kept)
    if asks_retention:
        retained(world, judgement)
    return judgement
