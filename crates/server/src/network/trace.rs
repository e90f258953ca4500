//! Traces: the latest frames of a few conversations on our own stack, for whoever asks.
//! Owns: which conversations are watched, and a ring for each. Invariants: nothing is kept, copied or looked at unless somebody asked,
//! within `WATCHED_FOR`; a ring holds at most `FRAMES_MAX` frames of at most `SNAP_MAX` octets each; frames are numbered, and those who
//! read say which they have, so that any number of them read one ring and take nothing from each other.
//! Not here: what is drawn of them (`switchboard trace`, `errands`).

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tcp::{Instant, State};
use wire::meta::{FrameSink, TxMeta};

/// Frames kept of one conversation.
const FRAMES_MAX: usize = 2048;
/// Octets kept of one frame: its headers and the first words.
pub const SNAP_MAX: usize = 2048;
/// Conversations watched at once; more are refused.
const WATCHES_MAX: usize = 16;
/// A conversation that nobody asks for so long is watched no more.
const WATCHED_FOR: Duration = Duration::from_secs(10);

/// Which conversation: its protocol and the peer's address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// 6 or 17.
    pub protocol: u8,
    /// The peer.
    pub remote: SocketAddr,
}

impl Flow {
    /// A TCP connection's.
    pub const TCP: u8 = 6;
    /// A UDP peer's.
    pub const UDP: u8 = 17;
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whose frames.
    pub flow: Flow,
    /// What the asker has: the frames before this number. 0: nothing.
    pub after: u64,
    /// Octets of each frame that it wants, at most.
    pub snap: usize,
}

/// What [`Network::trace`](super::Network::trace) answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// This network shows no frames.
    #[default]
    Hidden,
    /// As many conversations as can be are watched.
    Full,
    /// It is watched, and these are its frames.
    Watched(Traced),
}

/// One frame of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedFrame {
    /// Its number, from 0 on within a conversation that is watched.
    pub number: u64,
    /// When, on the loop's clock.
    pub at: Instant,
    /// We sent it.
    pub sent: bool,
    /// Our end's state once it was sent, or dealt with; only for TCP.
    pub state: Option<State>,
    /// How long it was.
    pub len: u32,
    /// Its first octets, from the IP header on.
    pub octets: Vec<u8>,
}

/// The frames that somebody did not have yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// Oldest first.
    pub frames: Vec<TracedFrame>,
    /// What to ask after the next time.
    pub next: u64,
    /// Frames that it will never have: the ring was too small for them.
    pub lost: u64,
}

#[derive(Debug)]
struct Watch {
    flow: Flow,
    asked: Instant,
    ring: VecDeque<TracedFrame>,
    /// The number of its first frame, and of its next.
    begin: u64,
    next: u64,
    /// The first frame of each direction, by number: it stays in the ring, since sequence numbers and times count from it.
    firsts: [Option<u64>; 2],
    /// Our address, as the frames have it.
    local: Option<SocketAddr>,
}

/// The conversations that are watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    all: Vec<Watch>,
    /// Numbers below were given to frames of watches that are no more. A watch that begins anew does not give them again.
    spent: u64,
}

/// The ends of a frame's conversation: protocol, source, destination.
pub(super) type Ends = (u8, SocketAddr, SocketAddr);

impl Watch {
    /// Makes room for one more.
    fn shed(&mut self) {
        let kept = |frame: &TracedFrame| self.firsts.contains(&Some(frame.number));
        if let Some(at) = self.ring.iter().position(|frame| !kept(frame)) {
            self.ring.remove(at);
        }
    }

    fn answer(&self, after: u64, snap: usize) -> Traced {
        let known = after.clamp(self.begin, self.next);
        let new = self.ring.iter().filter(|frame| frame.number >= known);
        let frames: Vec<_> = new
            .map(|&TracedFrame { number, at, sent, state, len, ref octets }| {
                let octets = octets[..octets.len().min(snap)].to_vec();
                TracedFrame { number, at, sent, state, len, octets }
            })
            .collect();
        let lost = self.next - known - frames.len() as u64;
        Traced { frames, next: self.next, lost }
    }
}

impl Watches {
    /// Whether frames are to be looked at.
    pub(super) fn is_on(&self) -> bool {
        !self.all.is_empty()
    }

    /// Forgets what nobody has asked for lately.
    pub(super) fn expire(&mut self, now: Instant) {
        let Self { all, spent } = self;
        all.retain(|watch| {
            let wanted = now.since(watch.asked) < WATCHED_FOR;
            if !wanted {
                *spent = (*spent).max(watch.next);
            }
            wanted
        });
    }

    /// Watches a conversation from now on, and tells what there is of it. `None`: as many as there may be are watched.
    pub(super) fn ask(&mut self, now: Instant, question: Question) -> Option<Traced> {
        let Question { flow, after, snap } = question;
        if let Some(watch) = self.all.iter_mut().find(|watch| watch.flow == flow) {
            watch.asked = now;
            return Some(watch.answer(after, snap));
        }
        if self.all.len() >= WATCHES_MAX {
            return None;
        }
        let (begin, ring) = (self.spent, VecDeque::new());
        self.all.push(Watch { flow, asked: now, ring, begin, next: begin, firsts: [None; 2], local: None });
        Some(Traced { next: begin, ..Traced::default() })
    }

    fn find(&mut self, sent: bool, (protocol, src, dst): Ends) -> Option<&mut Watch> {
        let (local, remote) = if sent { (src, dst) } else { (dst, src) };
        let flow = Flow { protocol, remote };
        let watch = self.all.iter_mut().find(|watch| watch.flow == flow)?;
        watch.local = Some(local);
        Some(watch)
    }

    /// Whether a frame's conversation is watched.
    pub(super) fn wants(&self, sent: bool, (protocol, src, dst): Ends) -> bool {
        let flow = Flow { protocol, remote: if sent { dst } else { src } };
        self.all.iter().any(|watch| watch.flow == flow)
    }

    /// Keeps a frame, if its conversation is watched. Its state is filled in later.
    pub(super) fn record(&mut self, now: Instant, sent: bool, frame: &[u8], state: Option<State>) {
        let Some(watch) = ends(frame).and_then(|ends| self.find(sent, ends)) else { return };
        if watch.ring.len() == FRAMES_MAX {
            watch.shed();
        }
        let (number, octets) = (watch.next, frame[..frame.len().min(SNAP_MAX)].to_vec());
        watch.next += 1;
        watch.firsts[usize::from(sent)].get_or_insert(number);
        watch.ring.push_back(TracedFrame { number, at: now, sent, state, len: frame.len() as u32, octets });
    }

    /// Fills the states of what was sent in this hand-out.
    pub(super) fn fill(&mut self, mut state: impl FnMut(SocketAddr, SocketAddr) -> Option<State>) {
        for watch in self.all.iter_mut().filter(|watch| watch.flow.protocol == Flow::TCP) {
            let Some(local) = watch.local else { continue };
            for frame in watch.ring.iter_mut().rev().take_while(|frame| frame.state.is_none()) {
                frame.state = Some(state(local, watch.flow.remote).unwrap_or(State::Closed));
            }
        }
    }
}

/// Whose a frame is: whole packets of TCP and UDP only.
pub(super) fn ends(frame: &[u8]) -> Option<Ends> {
    let first = *frame.first()?;
    let (protocol, header, src, dst): (u8, usize, IpAddr, IpAddr) = match first >> 4 {
        4 => {
            let octets = |at: usize| -> Option<[u8; 4]> { frame.get(at..at + 4)?.try_into().ok() };
            (
                *frame.get(9)?,
                usize::from(first & 15) * 4,
                Ipv4Addr::from(octets(12)?).into(),
                Ipv4Addr::from(octets(16)?).into(),
            )
        }
        6 => {
            let octets = |at: usize| -> Option<[u8; 16]> { frame.get(at..at + 16)?.try_into().ok() };
            (*frame.get(6)?, 40, Ipv6Addr::from(octets(8)?).into(), Ipv6Addr::from(octets(24)?).into())
        }
        _ => return None,
    };
    let port =
        |at: usize| -> Option<u16> { Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?)) };
    let known = protocol == Flow::TCP || protocol == Flow::UDP;
    known.then_some((protocol, SocketAddr::new(src, port(header)?), SocketAddr::new(dst, port(header + 2)?)))
}

/// A sink that looks at what passes through it. Frames are written here first, so that they can be read once they are whole.
pub(super) struct Tap<'a> {
    pub(super) now: Instant,
    pub(super) watches: &'a mut Watches,
    pub(super) inner: &'a mut dyn FrameSink,
    pub(super) space: &'a mut Vec<u8>,
}

impl FrameSink for Tap<'_> {
    fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.inner.reserve(len)?;
        if self.space.len() < len {
            self.space.resize(len, 0);
        }
        Some(&mut self.space[..len])
    }

    fn has_room(&mut self, len: usize) -> bool {
        self.inner.has_room(len)
    }

    fn room_for(&mut self, len: usize) -> usize {
        self.inner.room_for(len)
    }

    fn commit(&mut self, len: usize, meta: TxMeta) {
        let frame = &self.space[..len];
        self.watches.record(self.now, true, frame, None);
        if let Some(room) = self.inner.reserve(len) {
            room.copy_from_slice(frame);
            self.inner.commit(len, meta);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16) -> Vec<u8> {
        let mut frame = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, Flow::TCP, 0, 0];
        frame.extend(src);
        frame.extend(dst);
        frame.extend(src_port.to_be_bytes());
        frame.extend(dst_port.to_be_bytes());
        frame.extend([0; 16]);
        frame
    }

    fn ask(watches: &mut Watches, flow: Flow, after: u64) -> Traced {
        watches.ask(Instant::ZERO, Question { flow, after, snap: SNAP_MAX }).unwrap()
    }

    const PEER: [u8; 4] = [10, 0, 0, 2];
    const US: [u8; 4] = [10, 0, 0, 1];

    fn flow() -> Flow {
        Flow { protocol: Flow::TCP, remote: "10.0.0.2:1000".parse().unwrap() }
    }

    #[test]
    fn only_what_was_asked_for_is_kept_and_no_more_than_fits() {
        let flow = flow();
        let (theirs, other) = (segment(PEER, 1000, US, 5222), segment([10, 0, 0, 3], 1000, US, 5222));
        let mut watches = Watches::default();
        watches.record(Instant::ZERO, false, &theirs, None);
        assert!(!watches.is_on());
        assert_eq!(ask(&mut watches, flow, 0), Traced::default(), "it begins with being asked for");
        watches.record(Instant::ZERO, false, &other, None);
        for _ in 0..FRAMES_MAX + 3 {
            watches.record(Instant::ZERO, false, &theirs, Some(State::Established));
        }
        let traced = ask(&mut watches, flow, 0);
        assert_eq!((traced.frames.len(), traced.lost), (FRAMES_MAX, 3));
        assert_eq!(traced.frames[0].number, 0, "what numbers count from stays");
        assert_eq!(traced.frames[1].number, 4);
        let nothing = Traced { next: traced.next, ..Traced::default() };
        assert_eq!(ask(&mut watches, flow, traced.next), nothing, "who has it all gets nothing");
        let ours = segment(US, 5222, PEER, 1000);
        watches.record(Instant::ZERO, true, &ours, None);
        watches.fill(|local, remote| {
            assert_eq!((local, remote), ("10.0.0.1:5222".parse().unwrap(), flow.remote));
            Some(State::LastAck)
        });
        assert_eq!(ask(&mut watches, flow, traced.next).frames[0].state, Some(State::LastAck));
        watches.expire(Instant::ZERO + WATCHED_FOR);
        assert!(!watches.is_on(), "nobody asked");
    }

    #[test]
    fn two_who_read_one_conversation_take_nothing_from_each_other() {
        let mut watches = Watches::default();
        assert_eq!(ask(&mut watches, flow(), 0).next, 0);
        let theirs = segment(PEER, 1000, US, 5222);
        watches.record(Instant::ZERO, false, &theirs, None);
        assert_eq!(ask(&mut watches, flow(), 0).frames.len(), 1);
        watches.record(Instant::ZERO, false, &theirs, None);
        let numbers = |traced: Traced| traced.frames.iter().map(|frame| frame.number).collect::<Vec<_>>();
        assert_eq!(numbers(ask(&mut watches, flow(), 1)), [1], "the first reader");
        assert_eq!(numbers(ask(&mut watches, flow(), 0)), [0, 1], "the second");
        let short = watches.ask(Instant::ZERO, Question { flow: flow(), after: 0, snap: 20 }).unwrap();
        assert_eq!((short.frames[0].octets.len(), short.frames[0].len), (20, theirs.len() as u32));
    }

    #[test]
    fn a_watch_that_begins_anew_gives_no_number_twice() {
        let mut watches = Watches::default();
        let theirs = segment(PEER, 1000, US, 5222);
        ask(&mut watches, flow(), 0);
        for _ in 0..3 {
            watches.record(Instant::ZERO, false, &theirs, None);
        }
        assert_eq!(ask(&mut watches, flow(), 1).next, 3);
        watches.expire(Instant::ZERO + WATCHED_FOR);
        assert_eq!(
            ask(&mut watches, flow(), 1),
            Traced { next: 3, ..Traced::default() },
            "nothing was lost of it"
        );
        watches.record(Instant::ZERO, false, &theirs, None);
        assert_eq!(ask(&mut watches, flow(), 3).frames[0].number, 3);
    }

    #[test]
    fn there_are_only_so_many_watches() {
        let mut watches = Watches::default();
        let of = |port| Flow { protocol: Flow::UDP, remote: SocketAddr::new(PEER.into(), port) };
        let question = |port| Question { flow: of(port), after: 0, snap: SNAP_MAX };
        for port in 0..WATCHES_MAX as u16 {
            assert!(watches.ask(Instant::ZERO, question(port + 1)).is_some());
        }
        assert!(watches.ask(Instant::ZERO, question(1000)).is_none());
    }
}
