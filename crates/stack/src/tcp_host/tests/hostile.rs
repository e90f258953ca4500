//! Strangers in the line: whatever arrives, nothing panics, tables stay within their bounds, and once everybody has let go and
//! time has passed, nothing is left.

use super::cable::{Flying, Host};
use super::{A, B, World};
use crate::socket::options::TcpOption;
use proptest::prelude::*;
use std::time::Duration;
use tcp::Linger;
use wire::tcp::{Flags, Header};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Connect,
    Accept,
    Send {
        at: usize,
        which: usize,
        len: usize,
    },
    Recv {
        at: usize,
        which: usize,
    },
    Shutdown {
        at: usize,
        which: usize,
    },
    Close {
        at: usize,
        which: usize,
        abort: bool,
    },
    /// Segments fly; of `lose` in eight, one is lost.
    Fly {
        lose: u8,
    },
    /// A segment that flew before comes again, changed.
    Forge {
        which: usize,
        seq: i32,
        ack: i32,
        flags: u16,
        cut: usize,
    },
    Wait {
        millis: u64,
    },
    Linger {
        at: usize,
        which: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..2usize;
    let which = 0..8usize;
    prop_oneof![
        2 => Just(Step::Connect),
        2 => Just(Step::Accept),
        3 => (at.clone(), which.clone(), 1..20_000usize).prop_map(|(at, which, len)| Step::Send { at, which, len }),
        3 => (at.clone(), which.clone()).prop_map(|(at, which)| Step::Recv { at, which }),
        1 => (at.clone(), which.clone()).prop_map(|(at, which)| Step::Shutdown { at, which }),
        1 => (at.clone(), which.clone(), any::<bool>())
            .prop_map(|(at, which, abort)| Step::Close { at, which, abort }),
        4 => (0..4u8).prop_map(|lose| Step::Fly { lose }),
        6 => (0..64usize, near(), near(), any::<u16>(), 0..2_000usize)
            .prop_map(|(which, seq, ack, flags, cut)| Step::Forge { which, seq, ack, flags, cut }),
        2 => (0..5_000u64).prop_map(|millis| Step::Wait { millis }),
        1 => (at, which).prop_map(|(at, which)| Step::Linger { at, which }),
    ]
}

/// Mostly close to the truth, where it hurts.
fn near() -> impl Strategy<Value = i32> {
    prop_oneof![3 => Just(0), 3 => -3..3i32, 2 => -70_000..70_000i32, 1 => any::<i32>()]
}

fn forge(flying: &Flying, seq: i32, ack: i32, flags: u16, cut: usize) -> Flying {
    let packet = wire::tcp::Packet::new(&flying.bytes).expect("we wrote it");
    let mut header = Header::parse(&packet);
    header.seq = header.seq.wrapping_add_signed(seq);
    header.ack = header.ack.wrapping_add_signed(ack);
    // A quarter keeps its flags, the rest has some of its own.
    if flags & 0x600 != 0 {
        header.flags = Flags::from_bits(flags & 0xff);
    }
    if flags & 0x800 != 0 {
        header.window = flags;
    }
    if flags & 0x1000 != 0 {
        header.options.timestamps = None;
    }
    let text = &packet.payload()[..packet.payload().len().saturating_sub(cut)];
    let mut bytes = vec![0; header.header_len() + text.len()];
    header.emit(&mut bytes);
    bytes[header.header_len()..].copy_from_slice(text);
    Flying { bytes, ..*flying }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_grows_or_stays(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::with(|config| {
            config.tcp.syn_backlog = 4;
            config.tcp.time_wait_max = 4;
            config.tcp.orphans_max = 4;
            config.buffer_bytes_max = 1 << 20;
            config.ephemeral_ports = (50_000, 50_015);
        });
        let listener = world.listen(B, "10.0.0.2:80", 4);
        let mut open = [Vec::new(), Vec::new()];
        let mut seen: Vec<(usize, Flying)> = Vec::new();
        let mut flown = 0u32;
        for step in steps {
            let now = world.now;
            match step {
                Step::Connect => {
                    if open[A].len() < 8 && let Ok(client) = world.try_connect(A, "10.0.0.2:80".parse().expect("valid")) {
                        open[A].push(client);
                    }
                }
                Step::Accept => open[B].extend(world.accept(B, listener)),
                Step::Send { at, which, len } => {
                    if let Some(socket) = open[at].get(which) {
                        let _ = world.try_send(at, *socket, &vec![which as u8; len]);
                    }
                }
                Step::Recv { at, which } => {
                    if let Some(socket) = open[at].get(which) {
                        let _ = world.try_recv(at, *socket);
                    }
                }
                Step::Shutdown { at, which } => {
                    if let Some(socket) = open[at].get(which) {
                        world.shutdown(at, *socket);
                    }
                }
                Step::Close { at, which, abort } => {
                    if which < open[at].len() {
                        let socket = open[at].swap_remove(which);
                        let Host { tcp, floor } = &mut world.hosts[at];
                        let done = if abort { tcp.abort(now, floor, socket) } else { tcp.close(now, floor, socket) };
                        prop_assert!(done.is_ok());
                    }
                }
                Step::Linger { at, which } => {
                    if let Some(socket) = open[at].get(which) {
                        let Host { tcp, floor } = &mut world.hosts[at];
                        let linger = TcpOption::Linger(Linger::Bounded(Duration::from_secs(3)));
                        prop_assert!(tcp.set_option(now, floor, *socket, linger).is_ok());
                    }
                }
                Step::Fly { lose } => {
                    for _ in 0..20 {
                        let mut quiet = true;
                        for from in [A, B] {
                            for flying in world.take(from) {
                                quiet = false;
                                flown = flown.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                                if (flown >> 29) as u8 >= lose {
                                    world.deliver(1 - from, &flying);
                                }
                                seen.push((1 - from, flying));
                            }
                        }
                        let excess = seen.len().saturating_sub(64);
                        seen.drain(..excess);
                        if quiet {
                            break;
                        }
                    }
                }
                Step::Forge { which, seq, ack, flags, cut } => {
                    if let Some((to, flying)) = seen.get(which) {
                        let (to, forged) = (*to, forge(flying, seq, ack, flags, cut));
                        world.deliver(to, &forged);
                    }
                }
                Step::Wait { millis } => world.advance(Duration::from_millis(millis)),
            }
            for host in &mut world.hosts {
                prop_assert!(host.tcp.half_open_len() <= 4 && host.tcp.time_wait_len() <= 4);
                prop_assert!(host.tcp.memory_mut().budget.used() <= 1 << 20);
                prop_assert!(host.tcp.flows.len() <= host.tcp.sockets_len() + 8);
            }
        }
        // Everybody lets go; the line is cut, so that only time can end things.
        for at in [A, B] {
            for socket in open[at].drain(..) {
                world.close(at, socket);
            }
        }
        world.close(B, listener);
        world.cut = true;
        world.advance(Duration::from_secs(3_600));
        for host in &mut world.hosts {
            let counts = host.tcp.counts();
            prop_assert_eq!((counts.sockets, counts.half_open, counts.time_wait), (0, 0, 0));
            prop_assert_eq!((counts.orphans, counts.buffer_bytes, host.tcp.flows.len()), (0, 0, 0));
            prop_assert!(host.tcp.next_deadline(world.now).is_none() && !host.tcp.has_output());
            prop_assert!(host.tcp.ports.is_free(80) && (50_000..=50_015).all(|port| host.tcp.ports.is_free(port)));
        }
    }
}
