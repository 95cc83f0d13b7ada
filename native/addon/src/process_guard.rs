//! What keeps a process that loads foreign code, and that holds a PIN, on a short lead.

use nix::errno::Errno;
use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{alarm, getppid};

/// From now on this process dies when its parent dies, dies by SIGALRM after `seconds` whatever it is doing, leaves no
/// core dump and cannot be traced by processes of the same user. Returns the parent's process id as seen afterwards:
/// a parent that died just before leaves another one.
pub fn guard(seconds: u32) -> Result<i32, Errno> {
    set_pdeathsig(Signal::SIGKILL)?;
    set_dumpable(false)?;
    let mut alarm_only = SigSet::empty();
    alarm_only.add(Signal::SIGALRM);
    alarm_only.thread_unblock()?;
    alarm::set(seconds);
    Ok(getppid().as_raw())
}
