//! Where packets come from: a file, standard input, an interface.
//!
//! Invariants: `next` never waits longer than [`PAUSE`], so that what was drawn is shown and Ctrl-C is heard; while an interface or a
//! growing file is watched the first Ctrl-C ends the capture, the second the program. Standard input ends when its writer does.
//! Not here: formats (`ladder::capture`).

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ladder::capture::{Capture, Record};

use crate::args::Ladder;
use crate::failure::Failure;

/// How long nothing may come before what was drawn is shown.
const PAUSE: Duration = Duration::from_millis(100);

/// How a capture ended.
pub(super) enum End {
    /// As it should.
    Whole,
    /// Before its end, and why.
    Broken(String),
}

enum From {
    File(Capture<Box<dyn Read>>),
    #[cfg(target_os = "linux")]
    Interface {
        socket: device::packet::PacketSocket,
        buffer: Vec<u8>,
    },
}

pub(super) struct Source {
    from: From,
    name: String,
    live: bool,
    stop: Arc<AtomicBool>,
}

/// A file that is read on when it has grown.
struct Growing {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Read for Growing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.file.read(buffer)?;
            if count > 0 || self.stop.load(Ordering::Relaxed) {
                return Ok(count);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Source {
    pub(super) fn open(args: &Ladder) -> Result<Source, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let listen = || -> io::Result<()> {
            // In this order: the second signal finds the flag set, and ends the program.
            signal_hook::flag::register_conditional_default(signal_hook::consts::SIGINT, stop.clone())?;
            signal_hook::flag::register(signal_hook::consts::SIGINT, stop.clone())?;
            Ok(())
        };
        let signals =
            |done: io::Result<()>| done.map_err(|error| Failure::failed(format!("signals: {error}")));
        if let Some(interface) = &args.live {
            signals(listen())?;
            return live(interface, stop);
        }
        let path = args.file.clone().unwrap_or_default();
        if path.as_os_str() == "-" {
            // `tcpdump -w - | switchboard ladder -`: Ctrl-C reaches both; tcpdump ends, and with it our input.
            signals(listen())?;
            let from = From::File(Capture::new(Box::new(io::stdin())));
            return Ok(Source { from, name: "standard input".to_owned(), live: true, stop });
        }
        let name = path.display().to_string();
        let file = File::open(&path).map_err(|error| Failure::failed(format!("{name}: {error}")))?;
        let reader: Box<dyn Read> = if args.follow {
            signals(listen())?;
            Box::new(Growing { file, stop: stop.clone() })
        } else {
            Box::new(file)
        };
        Ok(Source { from: From::File(Capture::new(reader)), name, live: args.follow, stop })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Packets come while they happen.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// The next packet; `Ok(None)`: none for now.
    pub(super) fn next(&mut self) -> Result<Option<Record<'_>>, End> {
        let stopped = self.stop.load(Ordering::Relaxed);
        match &mut self.from {
            From::File(capture) => match capture.next_record() {
                Ok(Some(record)) => Ok(Some(record)),
                Ok(None) => Err(End::Whole),
                // Whoever stops following a file is likely to do so within a packet.
                Err(broken) if stopped && matches!(broken.why, ladder::capture::BreakReason::Cut) => {
                    Err(End::Whole)
                }
                Err(broken) => Err(End::Broken(broken.to_string())),
            },
            #[cfg(target_os = "linux")]
            From::Interface { socket, buffer } => {
                if stopped {
                    return Err(End::Whole);
                }
                match socket.receive(buffer, PAUSE) {
                    Ok(Some(passed)) => Ok(Some(Record {
                        time: passed.time,
                        link: ladder::capture::LinkType::Raw,
                        bytes: &buffer[..passed.len],
                        original_len: u32::try_from(passed.original_len).unwrap_or(u32::MAX),
                    })),
                    Ok(None) => Ok(None),
                    Err(error) => Err(End::Broken(error.to_string())),
                }
            }
        }
    }

    /// Packets that were missed.
    pub(super) fn dropped(&self) -> u32 {
        match &self.from {
            From::File(_) => 0,
            #[cfg(target_os = "linux")]
            From::Interface { socket, .. } => socket.take_dropped().unwrap_or(0),
        }
    }
}

#[cfg(target_os = "linux")]
fn live(interface: &str, stop: Arc<AtomicBool>) -> Result<Source, Failure> {
    /// The longest packet: a super-packet.
    const PACKET_MAX: usize = 65_536 + 64;
    let socket = device::packet::PacketSocket::open(interface).map_err(Failure::failed)?;
    let from = From::Interface { socket, buffer: vec![0; PACKET_MAX] };
    Ok(Source { from, name: interface.to_owned(), live: true, stop })
}

#[cfg(not(target_os = "linux"))]
fn live(_: &str, _: Arc<AtomicBool>) -> Result<Source, Failure> {
    Err(Failure::failed(
        "interfaces can be looked at on Linux only; elsewhere: tcpdump -w - | switchboard ladder -",
    ))
}
