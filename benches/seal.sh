#!/usr/bin/env bash
# Compares sealing with what people do by hand on the same store, in turn: a shell loop of zstd and age, file by file,
# and what is quicker, one archive of the whole store (tar, zstd, age), flushed before the files are deleted.
#
#   benches/seal.sh               all rows, 5,000 sessions of about 1.2 GB, 3 rounds
#   ROUNDS=5 SAMPLE=400 benches/seal.sh
#
# STORE_MAKER   a shell command that fills the folder "$1" with a client's config folder
# CCRETAIN      the program (target/dist/ccretain, built when missing)
# WORK          where the copies lie: a disk, not a tmpfs, since flushing is part of what is measured
# SAMPLE        files of the shell loop; its time for all of them is that of the sample, scaled by files
#
# Durability off is the same program with its flushes made to do nothing by strace's fault injection; durability on runs
# under the same strace, so that its price is on both sides. Times are medians of whole processes, taken in turn.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
: "${ROUNDS:=3}" "${SAMPLE:=400}"
: "${STORE_MAKER:=benches/make_store.py "\$1" --files 40000 --size 8500 --expired 0}"
WORK=${WORK:-$(mktemp -d "${TMPDIR:-/tmp}/ccretain-seal.XXXXXX")}
trap 'rm -rf "$WORK"' EXIT
export STORE_MAKER ROUNDS SAMPLE WORK PYTHONPATH=benches PYTHONDONTWRITEBYTECODE=1
python3 - <<'PYTHON'
import os
import random
import shutil
import subprocess
from pathlib import Path

import common
from common import environment, median, run

work, program = Path(os.environ["WORK"]), common.program()
rounds, sample = int(os.environ["ROUNDS"]), int(os.environ["SAMPLE"])
null = subprocess.DEVNULL
master = work / "master"
master.mkdir(parents=True)
subprocess.run(["sh", "-ec", os.environ["STORE_MAKER"], "sh", str(master)], check=True, stdout=null)

POLICY = '{"version":1,"recipients":["%s"],"rules":[{"name":"all","sealAfter":"1h","deleteAfter":"never"}]}'

def home(name):
    root = work / name
    shutil.rmtree(root, ignore_errors=True)
    common.home(root, '{"version":1}')
    shutil.copytree(master, root / "home/.claude", symlinks=True)
    key = subprocess.run([program, "key", "new"], env=environment(root), check=True, capture_output=True, text=True)
    common.home(root, POLICY % key.stdout.strip())
    os.sync()
    return root, key.stdout.strip()

def plain(root):
    """Every file that is sealed, and its bytes."""
    wanted = []
    for folder in ("projects", "file-history", "tasks", "debug", "todos"):
        for path in (root / "home/.claude" / folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                wanted.append(path)
    return sorted(wanted)

enforce = [program, "enforce", "--yes", "--quiet"]
flushes = "syncfs,fsync,fdatasync"
traced = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"trace={flushes}"]
off = traced + ["-e", f"inject={flushes}:retval=0"]
has_strace = shutil.which("strace") is not None
results = {"seal": [], "loop": [], "archive": [], "on": [], "off": []}
processors = {"seal": [], "loop": [], "archive": []}
memory, busy, sizes = 0, [], None
for number in range(rounds):
    root, _ = home("seal")
    before = plain(root)
    files, bytes_ = len(before), sum(path.stat().st_size for path in before)
    took, rss, cpu = run(enforce, root)
    results["seal"].append(took)
    processors["seal"].append(cpu)
    busy.append(cpu / took)
    memory = max(memory, rss)
    sealed = list((root / "home/.claude/ccretain/sealed").rglob("*.age"))
    left = [path for path in plain(root)]
    if len(sealed) < files * 0.99:
        raise SystemExit(f"only {len(sealed)} of {files} files were sealed, {len(left)} are left")
    if sizes is None:
        dice = random.Random(1)
        pairs = dice.sample(sealed, min(len(sealed), 2000))
        names = [str(master / path.relative_to(root / "home/.claude/ccretain/sealed").relative_to(
            path.relative_to(root / "home/.claude/ccretain/sealed").parts[0]))[: -len(".zst.age")] for path in pairs]
        reference = 0
        for start in range(0, len(names), 500):
            batch = names[start:start + 500]
            script = 'for f; do zstd -3 -qc -- "$f" | wc -c; done'
            out = subprocess.run(["sh", "-c", script, "sh", *batch], check=True, capture_output=True, text=True).stdout
            reference += sum(map(int, out.split()))
        whole = sum(path.stat().st_size for path in pairs)
        # An age file has a header and a tag, which zstd has not: about 300 bytes a file.
        sizes = (whole / reference, (whole - 300 * len(pairs)) / reference)
    shutil.rmtree(root)

    root, recipient = home("loop")
    chosen = [str(path) for path in random.Random(number).sample(plain(root), min(sample, files))]
    share = sum(os.path.getsize(path) for path in chosen) / bytes_
    script = 'r=$1; shift; for f; do zstd -1 -qc -- "$f" | age -r "$r" >"$f.zst.age" && rm -- "$f"; done'
    took, _, cpu = run(["sh", "-c", script, "sh", recipient, *chosen], root)
    results["loop"].append(took * files / len(chosen))
    processors["loop"].append(cpu * files / len(chosen))
    shutil.rmtree(root)

    # One file out of which no session comes back alone, and no date by which one of them could go.
    root, recipient = home("archive")
    (root / "names").write_bytes(b"\0".join(str(path).encode() for path in plain(root)))
    script = ('cd "$1" && tar --null -P -cf - -T names | zstd -3 -qc | age -r "$2" >store.tar.zst.age && sync store.tar.zst.age '
              '&& xargs -0 rm -f -- <names')
    took, _, cpu = run(["sh", "-ec", script, "sh", str(root), recipient], root)
    results["archive"].append(took)
    processors["archive"].append(cpu)
    shutil.rmtree(root)

    if has_strace:
        for name, wrapper in (("on", traced), ("off", off)):
            root, _ = home(name)
            took, _, _ = run(wrapper + enforce, root)
            results[name].append(took)
            shutil.rmtree(root)

middle = {name: median(times) for name, times in results.items() if times}
print(f"{files} files, {bytes_ / 1e6:.0f} MB, {rounds} rounds")
spent = {name: median(times) for name, times in processors.items()}
loop = middle["loop"] / middle["seal"]
print(f"shell loop / sealing        {loop:8.1f}   (sample {share:.1%} of the bytes; {'met' if loop >= 20 else 'MISSED'}: 20 wanted)")
print(f"  processor time            {spent['loop'] / spent['seal']:8.1f}")
print(f"archive by hand / sealing   {middle['archive'] / middle['seal']:8.2f}   (tar | zstd -3 | age, flushed, then deleted)")
print(f"  processor time            {spent['archive'] / spent['seal']:8.2f}")
print(f"cores busy while sealing    {median(busy):8.2f}")
print(f"durable / not durable       {middle['on'] / middle['off']:8.2f}" if has_strace else "no strace: durability not compared")
print(f"sealed / zstd -3            {sizes[0]:8.3f}   (without the age headers {sizes[1]:.3f})")
print(f"peak memory, MB             {memory / 1e6:8.1f}")
print(f"seconds, for this machine   sealing {middle['seal']:.2f}")
PYTHON
