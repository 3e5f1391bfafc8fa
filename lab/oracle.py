"""What must hold after a run, however it ended; judged by the files alone and by stock tools."""

import errno
import json
import os
import re
from collections import namedtuple

from world import Wrong, is_own, is_unfinished, ledger

ID = re.compile("([0-9a-f]{8})-0000-4000-8000-00000000cafe")
LINE_FILES = ("home/.claude/history.jsonl", "home/.claude.json")
State = namedtuple("State", "files folders")


def state_of(world):
    folders = {os.path.relpath(os.path.join(at, name), world.root) for at, names, _ in os.walk(world.root) for name in names}
    return State(world.files(), folders)


def number_of(path):
    found = ID.search(path)
    return int(found.group(1), 16) if found else None


def is_sealed(path):
    return path.endswith(".age") and "/ccretain/" in path


def plain_name(path):
    """The name that a sealed file had."""
    name = os.path.basename(path)
    return re.sub(r"(\.\d+)?(\.zst)?\.age$", "", name)


def sealed_of(world, state):
    """What is in the sealed files, by session and name. Each must open: what has its name is whole."""
    found = {}
    for path, (content, mode, _) in state.files.items():
        if not is_sealed(path) or is_unfinished(path):
            continue
        plain = world.plain_of(content)
        if plain is None:
            raise Wrong(f"'{path}' is no whole sealed file")
        if mode & 0o7777 != 0o600:
            raise Wrong(f"'{path}' has mode {mode & 0o7777:o}")
        found.setdefault((number_of(path), plain_name(path)), set()).add(plain)
    return found


def judge(world, case, before, after, done, error):
    """After a run that may have failed: what may be gone, what must be there, and what was said."""
    if done.returncode == 101 or "panicked" in done.stderr:
        raise Wrong(f"it panics: {done.stderr}")
    was_killed = error == "SIGKILL"
    if done.returncode < 0 and not was_killed:
        raise Wrong(f"it died of signal {-done.returncode}")
    if not was_killed and done.returncode not in (case.code, 0, 1, 2, 4, 75):
        raise Wrong(f"exit {done.returncode}")
    records, wrong, rest = ledger(world)
    if wrong or (rest and not was_killed and case.code == done.returncode):
        raise Wrong(wrong or "the ledger ends within a line")
    intended = {record.get("session") for record in records if record.get("event") == "intent"}
    intents = [record for record in records if record.get("event") == "intent"]
    sealed = sealed_of(world, after)
    for path, (content, mode, mtime) in before.files.items():
        if is_own(path) and not is_sealed(path):
            continue
        fate = case.fate(path)
        there = after.files.get(path)
        if path.endswith(LINE_FILES) or path.endswith("history.jsonl"):
            lines(case, path, content, there, mode if fate != "changed" else None)
            continue
        if is_sealed(path):
            number, name = number_of(path), plain_name(path)
            plain = world.plain_of(content)
            if plain in sealed.get((number, name), ()) or is_plain_there(after, number, name, plain):
                continue
        elif there is not None:
            if there[0] != content or (there[1] != mode and fate != "changed") or there[2] != mtime:
                raise Wrong(f"'{path}' is not what it was")
            continue
        elif fate == "sealed" and content in sealed.get((number_of(path), os.path.basename(path)), ()):
            continue
        if fate != "deleted":
            raise Wrong(f"'{path}' is lost, which is to be {fate}")
        number = number_of(path)
        is_keyed = any(record.get("session", "").startswith("hmac") or len(record.get("session") or "") > 40 for record in intents)
        if not intents or not is_keyed and number is not None and f"{number:08x}-0000-4000-8000-00000000cafe" not in intended:
            raise Wrong(f"'{path}' went without an intent in the ledger")
    was_sealed = {}
    for path, (content, _, _) in before.files.items():
        if is_sealed(path):
            was_sealed.setdefault((number_of(path), plain_name(path)), set()).add(world.plain_of(content))
    for path, (content, _, _) in after.files.items():
        if path in before.files or is_own(path) or is_unfinished(path):
            continue
        if not case.may_appear(path):
            raise Wrong(f"what is '{path}'?")
        whole = was_sealed.get((number_of(path), os.path.basename(path)))
        if whole and content not in whole:
            raise Wrong(f"'{path}' came back as something else")
    if done.returncode in (2, 4, 75) and not was_killed:
        untouched(before, after)
    if error and not was_killed and done.returncode != case.code:
        said(done, error)


def finished(case, state):
    """Whether a run that nothing disturbed has done what its command is for."""
    for path in state.files:
        fate, number = case.fates.get(number_of(path)), number_of(path)
        is_ours = path.startswith("state/") or path.startswith("config/") or "/ccretain/held/" in path
        if is_ours or fate is None or is_unfinished(path):
            continue
        is_inside = "/ccretain/sealed/" in path
        if fate == "deleted" or fate == "sealed" and not is_inside or fate == "unsealed" and is_inside:
            raise Wrong(f"'{path}' is there, and session {number} is to be {fate}")


def is_plain_there(after, number, name, plain):
    return any(number_of(path) == number and os.path.basename(path) == name and there[0] == plain for path, there in after.files.items())


def lines(case, path, content, there, mode):
    """A line file holds what it held, in order, but for lines that are due."""
    if there is None:
        raise Wrong(f"'{path}' is gone")
    if mode not in (None, there[1]):
        raise Wrong(f"'{path}' has another mode")
    if path.endswith(".claude.json"):
        case.check_config(json.loads(content), there[0])
        return
    left = there[0].split(b"\n")
    for line in content.split(b"\n"):
        if left and left[0] == line:
            left.pop(0)
        elif not case.line_goes(line):
            raise Wrong(f"'{path}' lost a line")
    if left:
        raise Wrong(f"'{path}' has a line that it had not")


def untouched(before, after):
    """A refusal leaves the stores as they were, but for the lock."""
    def of_stores(state):
        return {path: what for path, what in state.files.items() if path.startswith(("home/.claude", "tmp/")) and not path.endswith("ccretain/lock")}
    if of_stores(before) != of_stores(after):
        changed = [path for path in {**before.files, **after.files} if of_stores(before).get(path) != of_stores(after).get(path)]
        raise Wrong(f"it refused, and changed {changed[:3]}")


def said(done, error):
    """The message names the cause, and a path where there is one."""
    text = done.stderr + done.stdout
    if "error while loading shared libraries" in text:
        # A program that was started could not begin, and said why in its own words.
        return
    number = getattr(errno, error)
    # Another C library has other words for some.
    if os.strerror(number) not in text and f"(os error {number})" not in text:
        raise Wrong(f"exit {done.returncode} does not name the cause: {done.stderr[:600] or done.stdout[:600]}")
    if not re.search(r"'[^']+'|\"path\"", text):
        raise Wrong(f"exit {done.returncode} names no path: {done.stderr[:600]}")


def settled(world, case, state, clean, is_first=False):
    """The work is done: what is there is what a clean run leaves, and nothing unfinished beside it."""
    for path in state.files:
        if is_unfinished(path):
            raise Wrong(f"{'exit ' + str(case.code) + ', but' if is_first else 'the next run leaves'} '{path}'")
    mine, theirs = shape(world, state), shape(world, clean)
    if is_first:
        # Empty folders of our own, with a record of nothing: the next run removes them.
        mine = frozenset(each for each in mine if each in theirs or not is_hollow(each, state))
    if mine != theirs:
        more = sorted(str(each) for each in mine - theirs)[:3]
        less = sorted(str(each) for each in theirs - mine)[:3]
        start = "it says that all is done, but" if is_first else "the next run does not settle:"
        raise Wrong(f"{start} too much: {more}, missing: {less}")
    ledger_wrong = ledger(world)[1]
    if ledger_wrong:
        raise Wrong(ledger_wrong)


def is_hollow(each, state):
    """Whether it is a folder of sealed files without any, or the record in one."""
    path = each[0]
    found = re.match("home/.claude/ccretain/sealed/[^/]+", path)
    return found and not any(is_sealed(other) for other in state.files if other.startswith(found.group()))


def shape(world, state):
    """What is there, without what differs from run to run."""
    found = set()
    for path, (content, mode, mtime) in state.files.items():
        if path.startswith("state/"):
            continue
        if is_sealed(path):
            found.add((os.path.dirname(path), plain_name(path), world.plain_of(content), mode))
        elif is_own(path) or path.startswith(("home/.local/", "home/.config/")):
            found.add((path, mode))
        elif path.endswith(("history.jsonl", ".claude.json", "settings.json")):
            found.add((path, content, mode))
        else:
            found.add((path, content, mode, mtime))
    # An empty folder that bears no session's name says nothing of one.
    found |= {(path, "folder") for path in state.folders if number_of(path) is not None}
    return frozenset(found)
