//! A link in memory with any number of hosts on it, and a tap that keeps what passed.

use stack::frame::{Capabilities, FrameQueue, Medium, RxFrame, RxMeta};
use stack::socket::udp::{UdpReceived, UdpRecvError};
use stack::{Config, Counters, DropReason, Instant, InterfaceConfig, InterfaceId, Secret, Stack, UdpHandle};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use wire::ethernet::MacAddr;

/// The interface of every host here.
pub(crate) const LINK: InterfaceId = InterfaceId(0);

pub(crate) fn mac(host: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, host as u8 + 1])
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address and port")
}

/// An Ethernet host's configuration with the given addresses.
pub(crate) fn ethernet(host: usize, addresses: &[&str]) -> Config {
    let interface = InterfaceConfig::ethernet(Capabilities::default(), mac(host));
    Config { interfaces: vec![with_addresses(interface, addresses)], ..Config::default() }
}

/// A TUN-like host's configuration.
pub(crate) fn point_to_point(addresses: &[&str]) -> Config {
    let interface = InterfaceConfig::ip(Capabilities::default());
    Config { interfaces: vec![with_addresses(interface, addresses)], ..Config::default() }
}

fn with_addresses(interface: InterfaceConfig, addresses: &[&str]) -> InterfaceConfig {
    // Duplicates and reports have tests of their own; here addresses are used at once and in silence.
    let interface = InterfaceConfig { dad_transmits: 0, announce_groups: false, ..interface };
    addresses.iter().fold(interface, |i, a| i.with_address(a.parse().expect("a prefix")))
}

/// The link. Every frame reaches every other host, after no time at all.
pub(crate) struct Lan {
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Stack>,
    sinks: Vec<FrameQueue>,
    /// Every frame that passed: who sent it, and what.
    pub(crate) passed: Vec<(usize, Vec<u8>)>,
    /// Frames that this says no to are lost.
    pub(crate) carries: fn(usize, &[u8]) -> bool,
}

impl Lan {
    pub(crate) fn new(configs: &[Config]) -> Self {
        let now = Instant::from_secs(1_000);
        let hosts = configs
            .iter()
            .zip(0u64..)
            .map(|(config, seed)| Stack::new(config, &Secret::from_seed(seed), now).expect("a sane config"))
            .collect::<Vec<_>>();
        let sinks = configs.iter().map(|_| FrameQueue::new(256)).collect();
        Self { now, hosts, sinks, passed: Vec::new(), carries: |_, _| true }
    }

    /// Two hosts at 10.0.0.1 and .2, and 2001:db8::1 and ::2, on Ethernet.
    pub(crate) fn pair() -> Self {
        Self::new(&[
            ethernet(0, &["10.0.0.1/24", "2001:db8::1/64"]),
            ethernet(1, &["10.0.0.2/24", "2001:db8::2/64"]),
        ])
    }

    /// The same without a link layer.
    pub(crate) fn tunnel() -> Self {
        let host =
            |i| point_to_point(&[["10.0.0.1/24", "10.0.0.2/24"][i], ["2001:db8::1/64", "2001:db8::2/64"][i]]);
        Self::new(&[host(0), host(1)])
    }

    /// Moves frames until the link is quiet. Time stands still.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for from in 0..self.hosts.len() {
                self.hosts[from].poll_transmit(self.now, &mut self.sinks[from]);
                while let Some((frame, meta)) = self.sinks[from].pop() {
                    moved = true;
                    assert!(meta.gso.is_none() && meta.checksum.is_none(), "nobody here said it could");
                    self.carry(from, &frame);
                    self.sinks[from].recycle(frame);
                }
            }
            if !moved
                && !self.hosts.iter().any(|host| host.next_deadline(self.now).is_some_and(|d| d <= self.now))
            {
                return;
            }
            for host in &mut self.hosts {
                if host.next_deadline(self.now).is_some_and(|deadline| deadline <= self.now) {
                    host.handle_deadline(self.now);
                }
            }
        }
        panic!("the link does not come to rest");
    }

    fn carry(&mut self, from: usize, frame: &[u8]) {
        self.passed.push((from, frame.to_vec()));
        if !(self.carries)(from, frame) {
            return;
        }
        for to in (0..self.hosts.len()).filter(|&to| to != from) {
            self.hosts[to].handle_frame(self.now, LINK, RxFrame { bytes: frame, meta: RxMeta::default() });
        }
    }

    /// Gives `to` a frame that none of the hosts sent.
    pub(crate) fn inject(&mut self, to: usize, frame: &[u8]) {
        self.hosts[to].handle_frame(self.now, LINK, RxFrame { bytes: frame, meta: RxMeta::default() });
        self.settle();
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        while let Some(next) = self
            .hosts
            .iter()
            .filter_map(|host| host.next_deadline(self.now))
            .min()
            .filter(|&next| next <= end)
        {
            self.now = self.now.max(next);
            for host in &mut self.hosts {
                host.handle_deadline(self.now);
            }
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    pub(crate) fn bind(&mut self, host: usize, local: &str) -> UdpHandle {
        self.hosts[host].udp_bind(at(local)).expect("a free address of ours")
    }

    pub(crate) fn send(&mut self, host: usize, socket: UdpHandle, data: &[u8], remote: &str) {
        let sent = self.hosts[host].udp_send_to(self.now, socket, data, at(remote));
        assert_eq!(sent, Ok(data.len()));
        self.settle();
    }

    pub(crate) fn recv(
        &mut self,
        host: usize,
        socket: UdpHandle,
    ) -> Result<(Vec<u8>, UdpReceived), UdpRecvError> {
        let mut buffer = vec![0; 65_535];
        let received = self.hosts[host].udp_recv(socket, &mut buffer)?;
        buffer.truncate(received.len);
        Ok((buffer, received))
    }

    pub(crate) fn counters(&self, host: usize) -> &Counters {
        self.hosts[host].counters()
    }

    pub(crate) fn dropped(&self, host: usize, reason: DropReason) -> u64 {
        self.counters(host).dropped(reason)
    }

    /// What passed since the last time, a line a packet.
    pub(crate) fn lines(&mut self, medium: Medium) -> Vec<String> {
        std::mem::take(&mut self.passed)
            .iter()
            .map(|(from, frame)| format!("{from}: {}", wire::pretty::line(medium, frame)))
            .collect()
    }
}
