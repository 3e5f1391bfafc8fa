//! How a child of a run over all users becomes the user whose account it handles.
//!
//! The child is started as root and drops its rights itself: a process that has changed its ids since its
//! `exec` is closed to its new user ("not dumpable", prctl(2), on Linux; `P_SUGID` on macOS), who can then
//! neither trace it (ptrace(2)) nor take its pipes (`pidfd_getfd`) or its task port, and so cannot speak in its
//! place. It must execute nothing afterwards: an `exec` would open the process again.

use std::io;

/// The most private memory that a child may have: it looks at what its user made, and one account must not take the
/// machine's memory.
// A store of a million files takes 0.2 GiB.
#[cfg(unix)]
const MOST_MEMORY: u64 = 2 << 30;

/// Takes root's groups from the command of a child where the child has no call for that.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn at_start(command: &mut std::process::Command, uid: u32) {
    use std::os::unix::process::CommandExt as _;
    if uid != 0 {
        // It stays root: the standard library empties the supplementary groups where root sets a uid.
        command.uid(0);
    }
}

/// On Linux the child gives up everything by itself.
#[cfg(target_os = "linux")]
pub fn at_start(_: &mut std::process::Command, _: u32) {}

/// Gives up everything of root, closes what root's caller had open, and makes sure of both.
///
/// Must come before anything is opened and before a second thread is started: a thread's ids are
/// its own, and later threads inherit them.
///
/// # Errors
/// Something could not be given up: the child must end.
#[cfg(unix)]
pub fn give_up(uid: u32, gid: u32) -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    close_inherited()?;
    let bound = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::Data, bound(MOST_MEMORY))?;
    // A core file would be the user's to read, with what root's process had in its memory.
    setrlimit(Resource::Core, bound(0))?;
    become_user(uid, gid)?;
    has_become(uid, gid)?;
    // Away from the terminal of root, into which a process of this user could type.
    let _ = rustix::process::setsid();
    Ok(())
}

/// Makes this process end when its parent does: nobody would hear what it says, and it might look for hours.
///
/// Must come after the ids were changed, which would undo it.
///
/// # Errors
/// The parent is gone, or the system does not do it.
#[cfg(target_os = "linux")]
pub(super) fn end_with(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have ended before.
    has_parent(parent)
}

/// The same where no signal tells it: the parent's end of the pipe is closed with it.
#[cfg(all(unix, not(target_os = "linux")))]
pub(super) fn end_with(parent: u32) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    std::thread::Builder::new().spawn(|| {
        let stdin = io::stdin();
        loop {
            // Nothing is asked for, so that only its end wakes this.
            let mut pipe = [PollFd::new(&stdin, PollFlags::empty())];
            let woken = poll(&mut pipe, None);
            if woken.is_ok() && pipe[0].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
                std::process::exit(1);
            }
        }
    })?;
    has_parent(parent)
}

#[cfg(unix)]
fn has_parent(parent: u32) -> io::Result<()> {
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now == Some(parent) { Ok(()) } else { Err(io::Error::other("the parent is gone")) }
}

#[cfg(not(unix))]
pub(super) fn end_with(_: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
pub fn give_up(_: u32, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    use rustix::thread as t;
    if uid != 0 {
        crate::dir::mounts::note();
        let (user, group) = (t::Uid::from_raw(uid), t::Gid::from_raw(gid));
        // Groups first, then the group, then the user: each needs rights that the next takes away.
        t::set_thread_groups(&[])?;
        t::set_thread_res_gid(group, group, group)?;
        t::set_thread_res_uid(user, user, user)?;
        // Should it execute something after all, no set-uid program gives it back what it gave up.
        t::set_no_new_privs(true)?;
    }
    // The kernel has done it where ids changed, unless fs.suid_dumpable says otherwise.
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Real, effective and saved ids alike, since root asks for it.
#[cfg(all(unix, not(target_os = "linux")))]
fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    use nix::unistd::{Gid, Uid, setgid, setuid};
    if uid != 0 {
        setgid(Gid::from_raw(gid))?;
        setuid(Uid::from_raw(uid))?;
    }
    Ok(())
}

#[cfg(unix)]
fn has_become(uid: u32, gid: u32) -> io::Result<()> {
    use rustix::process as p;
    let ids = [p::getuid().as_raw(), p::geteuid().as_raw()];
    let groups = [p::getgid().as_raw(), p::getegid().as_raw()];
    let others = p::getgroups()?;
    let dropped = ids.iter().all(|id| *id == uid)
        && (uid == 0
            || groups.iter().all(|id| *id == gid) && others.iter().all(|group| group.as_raw() == gid));
    // Asked and not believed: a set of ids that a sandbox did not change would be root at work in the user's
    // files.
    if dropped && (uid == 0 || has_no_capability()?) {
        return Ok(());
    }
    Err(io::Error::other("the privileges of root were not given up"))
}

#[cfg(target_os = "linux")]
fn has_no_capability() -> io::Result<bool> {
    let sets = rustix::thread::capabilities(None)?;
    Ok(sets.effective.is_empty() && sets.permitted.is_empty())
}

#[cfg(all(unix, not(target_os = "linux")))]
#[expect(clippy::unnecessary_wraps, reason = "analogous to Linux")]
fn has_no_capability() -> io::Result<bool> {
    Ok(true)
}

/// Closes every descriptor but the three of the conversation: the shell or daemon that started root's
/// run may have left files of root's open, and they are no business of the user's.
#[cfg(unix)]
fn close_inherited() -> io::Result<()> {
    // All numbers first: the listing has a descriptor of its own, which is closed by then.
    let open = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let names = fs_err::read_dir(open)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2) {
        match nix::unistd::close(number) {
            Ok(()) | Err(nix::errno::Errno::EBADF) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
