//! The kernel as peer: our stack and the Linux kernel's, at the two ends of TUN and TAP links.
//! Owns: the network namespace, which `unshare` makes and which goes with the process; nothing outside it is touched.
//! Not here: the checks themselves (`crates/net/examples/kernel_peer.rs`, which can be run by hand for one link or one check; the
//! device's own in `crates/device/tests/tun_kernel.rs`).

use crate::shell;
use crate::tally::Tally;

/// Runs the peer in a network namespace of its own. Needs root, or `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`.
pub(crate) fn run() -> Tally {
    let mut tally = Tally::default();
    let mut device = shell::cargo("test", &["--test", "tun_kernel"]);
    tally.test_command("tun and tap", device.env("SWITCHBOARD_NO_SKIPPING", "1"));
    let mut command = shell::command(&["unshare", "--net", "--", &shell::built("examples/kernel_peer")]);
    tally.test_command("kernel as peer", &mut command);
    tally
}
