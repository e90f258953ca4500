//! A network: who implements TCP and UDP below the carriers: the kernel, or our own stack over a device, which may be an
//! interface of the kernel or a simulated cable. The event loop cannot tell them apart.
//! Contract (tested by `contract`, for every network alike):
//! - Readiness is edge-triggered. After an answer that says "drained" (`Received::more == false`, `WouldBlock`) the next
//!   readiness tells when to come back; before it, nothing is promised, so the caller goes on until then.
//! - What was readable or writable before `attach` is reported after it.
//! - The end of the peer's bytes is a `recv` of 0 bytes, reported once everything before it has been read.
//! - `send_vectored` takes what fits and says how much; it never keeps the rest.
//! - Nothing here sleeps; the loop alone does, until the least deadline.
//! - A turn of the loop is a turn of each network: `handle_event`s, `begin_turn`, the loop's calls, `end_turn`. A network
//!   that lives in this process takes frames in the first and hands frames out in the second.
//!
//! Not here: what the bytes mean (`carrier`), who reads them next (`event_loop`).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use wire::meta::RxMeta;
use xmpp::time::Instant;

#[cfg(test)]
mod contract;
pub mod kernel;
pub mod stack;
pub mod trace;

/// What the caller calls a socket, a listener or a datagram socket; handed back in [`Readiness`].
pub type Key = usize;

/// A connected stream, as its network knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketId(pub(crate) u32);

/// A listener, as its network knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerId(pub(crate) u32);

/// A datagram socket, as its network knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpId(pub(crate) u32);

/// Something happened to what the caller calls `key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The caller's name for it.
    pub key: Key,
    /// Bytes, a connection, a datagram, the end, or an error can be had.
    pub readable: bool,
    /// Bytes can be sent again.
    pub writable: bool,
}

/// A stream that no loop owns yet: accepted, or on its way to another loop.
#[derive(Debug)]
pub enum Stream {
    /// A descriptor: any loop may attach it.
    Descriptor(mio::net::TcpStream),
    /// A connection of a stack in this process: only the network that gave it away may attach it.
    Stack(::stack::TcpHandle),
}

/// A datagram socket that no loop owns yet.
#[derive(Debug)]
pub enum DatagramSocket {
    /// A descriptor: any loop may attach it, and more than one (see [`Network::share_udp`]).
    Descriptor(mio::net::UdpSocket),
    /// A socket of a stack in this process: only the network that shared it may attach it.
    Stack(::stack::UdpHandle),
}

/// What one `recv` brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// How many bytes; 0 is the end.
    pub len: usize,
    /// Whether there may be more at once. When false, the next readiness tells.
    pub more: bool,
}

/// Where datagrams came from; one entry a receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct DatagramMeta {
    /// Who sent it.
    pub remote: SocketAddr,
    /// Which of our addresses it was sent to, where that is known.
    pub local: Option<IpAddr>,
    /// Bytes in the buffer.
    pub len: usize,
    /// Length of each datagram in the buffer but the last, which may be shorter (receive offload).
    pub stride: usize,
    /// The two ECN bits.
    pub ecn: u8,
}

/// Datagrams to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Datagrams<'a> {
    /// To whom.
    pub remote: SocketAddr,
    /// From which of our addresses, where it matters.
    pub local: Option<IpAddr>,
    /// The bytes of one or more datagrams.
    pub contents: &'a [u8],
    /// Length of each but the last, when there are several (segmentation offload).
    pub segment_size: Option<usize>,
    /// The two ECN bits.
    pub ecn: u8,
}

/// Facts for people: names and values.
pub type Rows = Vec<(&'static str, String)>;

/// Who implements TCP and UDP. See the module's page for the contract.
pub trait Network: Send {
    /// What `switchboard who` calls it.
    fn name(&self) -> &'static str;

    /// Listens for streams. The address comes back with the port that was chosen.
    fn listen(&mut self, address: SocketAddr, backlog: i32, key: Key)
    -> io::Result<(ListenerId, SocketAddr)>;

    /// Takes the next connection, or `WouldBlock`.
    fn accept(&mut self, listener: ListenerId) -> io::Result<(Stream, SocketAddr)>;

    /// Stops listening. Connections that wait to be accepted are refused.
    fn close_listener(&mut self, listener: ListenerId);

    /// Owns a stream from now on, under the caller's name for it.
    fn attach(&mut self, stream: Stream, key: Key) -> io::Result<SocketId>;

    /// Gives a stream away, to be attached to another loop.
    fn detach(&mut self, socket: SocketId) -> io::Result<Stream>;

    /// Reads into `buffer`.
    fn recv(&mut self, socket: SocketId, buffer: &mut [u8]) -> io::Result<Received>;

    /// Sends what fits, in order.
    fn send_vectored(&mut self, socket: SocketId, buffers: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Ends our direction: the peer reads the end once it has read everything before it.
    fn shutdown_write(&mut self, socket: SocketId) -> io::Result<()>;

    /// Closes both directions; what was sent still arrives.
    fn close(&mut self, socket: SocketId);

    /// Receives and sends datagrams at `address`. Nobody else may be bound there.
    fn bind_udp(&mut self, address: SocketAddr, key: Key) -> io::Result<(UdpId, SocketAddr)>;

    /// A second handle to the same socket, for another loop to send from.
    fn share_udp(&mut self, socket: UdpId) -> io::Result<DatagramSocket>;

    /// Owns a shared datagram socket, to send from; datagrams go to the one who bound it.
    fn attach_udp(&mut self, socket: DatagramSocket, key: Key) -> io::Result<UdpId>;

    /// Receives datagrams, one or more a buffer; answers how many buffers were filled, or `WouldBlock`.
    fn recv_datagrams(
        &mut self,
        socket: UdpId,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut Vec<DatagramMeta>,
    ) -> io::Result<usize>;

    /// Sends datagrams, all or `WouldBlock`.
    fn send_datagrams(&mut self, socket: UdpId, datagrams: &Datagrams<'_>) -> io::Result<()>;

    /// The most datagrams one [`Datagrams`] may hold.
    fn segments_max(&self, socket: UdpId) -> usize;

    /// Stops receiving and sending.
    fn close_udp(&mut self, socket: UdpId);

    /// Whether streams and datagram sockets may move between loops. Where they may not, each loop has a network of its own
    /// behind the same addresses: it listens there itself, and what it accepted stays with it.
    fn moves_between_loops(&self) -> bool {
        true
    }

    /// Hears an event of the loop's poll that bears one of this network's tokens.
    fn handle_event(&mut self, event: &mio::event::Event, ready: &mut Vec<Readiness>);

    /// The loop's turn begins, and this is its time: does what is due, and tells what has become ready. Networks outside
    /// this process have told it by [`handle_event`](Network::handle_event).
    fn begin_turn(&mut self, _now: Instant, _ready: &mut Vec<Readiness>) {}

    /// The loop's turn ends: what it sent leaves.
    fn end_turn(&mut self) {}

    /// When the next turn is due though no event comes. A moment that has passed means at once.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// The peer's address, where the network is asked for frames by it.
    fn remote(&self, _socket: SocketId) -> Option<SocketAddr> {
        None
    }

    /// What TCP knows of a connection, for people; `None` where it does not say.
    fn tcp_facts(&self, _socket: SocketId) -> Option<Rows> {
        None
    }

    /// Whether it shows frames to who asks by [`trace`](Network::trace).
    fn shows_frames(&self) -> bool {
        false
    }

    /// Watches a conversation from now on, for as long as this is called again, and tells its latest frames.
    fn trace(&mut self, _question: trace::Question) -> trace::Answer {
        trace::Answer::Hidden
    }

    /// Takes the next packet that concerns, or may concern, what another loop holds behind the same address.
    fn poll_stray(&mut self) -> Option<Stray> {
        None
    }

    /// Hears a packet that came to another loop's network of the same address. `asked`: how many loops have looked for its owner.
    /// What this one does not hold either is a stray again, until all have been asked: the last, which is the one that it
    /// came to, answers as if it were alone.
    fn handle_stray(&mut self, _stray: &Stray) {}
}

/// A packet that came to a loop whose network does not hold what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// From the IP header on.
    pub packet: Vec<u8>,
    /// What the device said of it.
    pub meta: RxMeta,
    /// Who is to hear it.
    pub to: StrayTo,
}

/// Who is to hear a stray packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrayTo {
    /// All other loops: an ICMP error, which names its flow inside.
    All,
    /// The next loop, since this many have looked, and none of them holds its connection.
    Next {
        /// The loops that were asked.
        asked: u8,
    },
}
