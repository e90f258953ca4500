//! The examiner's adapter: packetdrill loads this library and runs its scripts against our stack.
//!
//! ```text
//!   packetdrill --so_filename=target/release/libswitchboard_packetdrill.so \
//!               --so_flags=local=192.168.0.1/16,remote=192.0.2.1,mtu=1500 ... script.pkt
//! ```
//!
//! With the same file in `LD_PRELOAD`, the scripts' questions about TCP_INFO are answered too: packetdrill asks those of the C
//! library, whose `getsockopt` is then ours.
//!
//! # Time
//! It is virtual. A call of `usleep`, or a wait for a packet that is not there yet, moves the clock to the next timer and no
//! further; `gettimeofday` creeps, since packetdrill spins on it. A script runs as fast as its calls, and twice alike.
//!
//! # Threads
//! packetdrill makes blocking calls on a second thread and looks into /proc whether that sleeps. So such a call sleeps on a condition
//! variable; once something happened the thread that moves time waits until the sleeper has looked at it.
//!
//! Reading order: `host` (the calls, none of which waits), `turn` (time, and who may move it), `options`, `info`, `chrono`, `epoll`, `cut`,
//! `sysctl`, `flags`; `abi` (the table, in C's words).
//!
//! Spec: packetdrill.h of google/packetdrill; the calls are Linux's.
//! Owns: virtual time and descriptors. Invariants: a descriptor is a descriptor of the kernel too, since packetdrill closes with
//! the kernel's close(); no script has a case of its own here.
//! Not here: any rule of TCP.

mod abi;
mod chrono;
mod cut;
mod descriptor;
mod epoll;
mod errno;
mod flags;
mod host;
mod info;
mod options;
mod sysctl;
#[cfg(test)]
mod testing;
mod turn;
