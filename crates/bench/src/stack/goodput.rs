//! Goodput in memory: both ends on one core, checksums made and verified, no frame beyond the MTU.

use super::{ours, smol};
use ours::{CLIENT, Pair, SERVER};
use stack::socket::options::TcpOption;
use std::io;
use std::time::{Duration, Instant};
use tcp::SendFlags;

/// Octets moved.
pub(super) const TOTAL: usize = 4 << 30;
/// Octets moved before the clock runs, so that windows have grown.
const WARM: usize = 64 << 20;
/// What a program reads and writes at once.
pub(super) const PIECE: usize = 1 << 17;

/// Queues and windows, of either side.
pub(super) const WINDOW: u32 = 512 << 10;

/// Gigabits a second.
pub(super) fn gbit(octets: usize, took: Duration) -> f64 {
    octets as f64 * 8.0 / took.as_secs_f64() / 1e9
}

pub(super) fn ours(mtu: u32) -> io::Result<f64> {
    let mut pair = Pair::new(mtu, false, |_| {})?;
    let listener = pair.listen(80)?;
    let client = pair.connect(80)?;
    pair.settle();
    let (server, _) = pair.stacks[SERVER].tcp_accept(listener).map_err(io::Error::other)?;
    let data = vec![5; PIECE];
    let mut scratch = vec![0; PIECE];
    let mut moved = 0;
    let mut begun = Instant::now();
    let mut warm = true;
    // As long as the window is, it is the same window on both sides.
    for (end, socket, option) in [
        (CLIENT, client, TcpOption::SendBuffer(Some(WINDOW))),
        (SERVER, server, TcpOption::ReceiveBuffer(Some(WINDOW))),
    ] {
        pair.stacks[end].tcp_set_option(pair.now, socket, option).map_err(io::Error::other)?;
    }
    while moved < TOTAL {
        while pair.stacks[CLIENT]
            .tcp_send(pair.now, client, &data, SendFlags::default())
            .is_ok_and(|sent| sent > 0)
        {}
        pair.transmit(CLIENT);
        pair.deliver(CLIENT);
        while let Ok(len @ 1..) = pair.stacks[SERVER].tcp_recv(pair.now, server, &mut scratch) {
            moved += len;
        }
        pair.transmit(SERVER);
        pair.deliver(SERVER);
        pair.drain_ready();
        // A round is worth ten microseconds of path, so that windows are tuned as on one.
        pair.now += Duration::from_micros(10);
        if warm && moved >= WARM {
            (warm, moved, begun) = (false, 0, Instant::now());
        }
        pair.stacks.iter_mut().for_each(|stack| {
            if stack.next_deadline(pair.now).is_some_and(|deadline| deadline <= pair.now) {
                stack.handle_deadline(pair.now);
            }
        });
    }
    Ok(gbit(moved, begun.elapsed()))
}

pub(super) fn smoltcp(mtu: u32) -> io::Result<f64> {
    smol::goodput(mtu as usize, TOTAL, WARM)
}
