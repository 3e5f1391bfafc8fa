"""Runs a program of which one system call fails, or is the last thing it does.

The kernel asks about each call of one kind (seccomp's user notification), whichever thread or child makes it, so that the
number of a call is its number in the whole run. No other call is slowed, and none is made that the kernel did not allow."""

import array
import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import socket
import struct
import time
from collections import namedtuple

NUMBERS = {
    "read": 0, "write": 1, "open": 2, "stat": 4, "fstat": 5, "lstat": 6, "lseek": 8, "ioctl": 16, "pread64": 17, "pwrite64": 18,
    "writev": 20, "access": 21, "sendfile": 40, "execve": 59, "fcntl": 72, "flock": 73, "fsync": 74, "fdatasync": 75,
    "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86, "unlink": 87, "symlink": 88, "readlink": 89, "chmod": 90,
    "fchmod": 91, "fchown": 93, "statfs": 137, "fstatfs": 138, "fsetxattr": 190, "getxattr": 191, "fgetxattr": 193,
    "listxattr": 194, "flistxattr": 196, "fremovexattr": 199, "getdents64": 217, "openat": 257, "mkdirat": 258, "fchownat": 260,
    "newfstatat": 262, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "readlinkat": 267, "fchmodat": 268,
    "faccessat": 269, "sync_file_range": 277, "utimensat": 280, "fallocate": 285, "pipe2": 293, "syncfs": 306, "renameat2": 316,
    "copy_file_range": 326, "statx": 332, "clone3": 435, "openat2": 437, "faccessat2": 439, "fchmodat2": 452,
}
RECEIVE, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1
Done = namedtuple("Done", "returncode stdout stderr hits")
libc = ctypes.CDLL(None, use_errno=True)


def can():
    return platform.machine() == "x86_64" and platform.system() == "Linux"


def listen(number):
    """From here on the kernel asks about one call; gives what it asks on."""
    return install([(number, 0x7FC00000)], 8)


def broken(calls):
    """From here on these calls say that they have done it, and do nothing: what a lab must notice. `None` where none is."""
    return (lambda: install([(NUMBERS[call], 0x00050000) for call in calls], 0)) if calls else None


def install(answers, flags):
    lines = [(0x20, 0, 0, 0)]                                  # load the number of the call
    for number, answer in answers:
        lines += [(0x15, 0, 1, number), (0x06, 0, 0, answer)]  # where it is that one, this is the answer
    lines.append((0x06, 0, 0, 0x7FFF0000))                     # else allow
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    filter_of = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(text)))
    libc.prctl(38, 1, 0, 0, 0)
    return libc.syscall(317, 1, flags, filter_of)


def run(command, variables, folder, call, when, error=None, timeout=30, processor=None, prepare=None):
    """Runs a command until the `when`-th of its calls, which fails with an error, or ends all where there is none."""
    out, err = os.memfd_create("out"), os.memfd_create("err")
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            nothing = os.open("/dev/null", os.O_RDWR)
            for old, new in ((nothing, 0), (out, 1), (err, 2)):
                os.dup2(old, new)
            os.chdir(folder)
            if processor is not None:
                os.sched_setaffinity(0, {processor})
            payload = [b"x"]
            if prepare:
                prepare()
            asked = listen(NUMBERS[call])
            theirs.sendmsg(payload, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [asked]))])
            os.execve(command[0], command, variables)
        finally:
            os._exit(126)
    theirs.close()
    _, ancillary, _, _ = mine.recvmsg(1, socket.CMSG_SPACE(4))
    mine.close()
    asked = array.array("i", ancillary[0][2])[0] if ancillary else -1
    hits = answer(asked, child, when, error, time.monotonic() + timeout) if asked >= 0 else 0
    if asked >= 0:
        os.close(asked)
    status = os.waitpid(child, 0)[1]
    texts = []
    for file in (out, err):
        texts.append(os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace"))
        os.close(file)
    if hits < 0:
        raise TimeoutError("it hangs")
    return Done(os.waitstatus_to_exitcode(status), *texts, hits)


def answer(asked, child, when, error, deadline):
    """Answers what the kernel asks; gives how many calls there were, less than 0 where time was up."""
    poll, hits = select.poll(), 0
    poll.register(asked, select.POLLIN)
    while True:
        events = poll.poll(max(0, (deadline - time.monotonic()) * 1000))
        if not events:
            os.killpg(child, signal.SIGKILL)
            return -1
        if not events[0][1] & select.POLLIN:
            return hits
        question = bytearray(80)
        try:
            fcntl.ioctl(asked, RECEIVE, question)
        except OSError as failure:
            if failure.errno in (errno.ENOENT, errno.EINTR):
                continue
            return hits
        key = struct.unpack_from("Q", question)[0]
        hits += 1
        if hits == when and error is None:
            os.killpg(child, signal.SIGKILL)
            continue
        reply = struct.pack("QqiI", key, 0, -error, 0) if hits == when else struct.pack("QqiI", key, 0, 0, CONTINUE)
        try:
            fcntl.ioctl(asked, SEND, bytearray(reply))
        except OSError as failure:
            if failure.errno != errno.ENOENT:
                raise
