//! What a script's commands set: sysctls of the network namespace, read when the first socket is made.
//! Spec: Linux's Documentation/networking/ip-sysctl.rst.
//! Owns: which of them mean something to our stack. What is absent keeps our default, which is Linux's.
//! Not here: qdiscs and routes, which belong to the kernel's stack alone.

use std::time::Duration;
use tcp::{EcnPolicy, Settings, TcpConfig};

/// Where sysctls are read: a name below `net`, and the text that it has.
struct Sysctls<R>(R);

/// The namespace that we run in.
fn of_namespace() -> Sysctls<impl Fn(&str) -> Option<String>> {
    Sysctls(|name: &str| std::fs::read_to_string(format!("/proc/sys/net/{name}")).ok())
}

/// The most that SO_SNDBUF may ask for, before Linux doubles it.
pub(crate) fn send_buffer_max() -> u32 {
    of_namespace().word("core/wmem_max", 212_992)
}

/// The same for SO_RCVBUF.
pub(crate) fn receive_buffer_max() -> u32 {
    of_namespace().word("core/rmem_max", 212_992)
}

/// The rules of the stack as the namespace has them.
pub(crate) fn tcp_config() -> TcpConfig {
    of_namespace().tcp_config()
}

impl<R: Fn(&str) -> Option<String>> Sysctls<R> {
    /// Whitespace-separated numbers; nothing if any word is none.
    fn numbers(&self, name: &str) -> Option<Vec<u64>> {
        (self.0)(name)?.split_whitespace().map(|word| word.parse().ok()).collect()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.numbers(name)?.first().copied()
    }

    fn on(&self, name: &str, default: bool) -> bool {
        self.number(name).map_or(default, |value| value != 0)
    }

    fn small(&self, name: &str, default: u8) -> u8 {
        self.number(name).and_then(|value| u8::try_from(value).ok()).unwrap_or(default)
    }

    fn word(&self, name: &str, default: u32) -> u32 {
        octets(self.number(name).as_ref(), default)
    }

    fn tcp_config(&self) -> TcpConfig {
        let ours = TcpConfig::default();
        let settings = Settings {
            // RFC 5482's option is not in Linux, and no script expects it.
            user_timeout_option: false,
            // Linux paces only where the qdisc `fq` or the congestion control asks for it, and the scripts' qdisc is `pfifo`; nor does its
            // slow start know RFC 9406's limit of bursts.
            pacing: false,
            paced_elsewhere: true,
            not_sent_low_water: self.word("ipv4/tcp_notsent_lowat", u32::MAX),
            ..Settings::default()
        };
        let read = self.numbers("ipv4/tcp_rmem").unwrap_or_default();
        let write = self.numbers("ipv4/tcp_wmem").unwrap_or_default();
        TcpConfig {
            timestamps: self.on("ipv4/tcp_timestamps", ours.timestamps),
            sack: self.on("ipv4/tcp_sack", ours.sack),
            window_scaling: self.on("ipv4/tcp_window_scaling", ours.window_scaling),
            slow_start_after_idle: self.on("ipv4/tcp_slow_start_after_idle", ours.slow_start_after_idle),
            burst_segments_min: self.small("ipv4/tcp_min_tso_segs", ours.burst_segments_min),
            ecn: match self.number("ipv4/tcp_ecn") {
                Some(0) => EcnPolicy::Off,
                Some(1) => EcnPolicy::Request,
                _ => EcnPolicy::Accept,
            },
            syn_retries: self.small("ipv4/tcp_syn_retries", ours.syn_retries),
            syn_ack_retries: self.small("ipv4/tcp_synack_retries", ours.syn_ack_retries),
            retries_1: self.small("ipv4/tcp_retries1", ours.retries_1),
            retries_2: self.small("ipv4/tcp_retries2", ours.retries_2),
            fin_wait_2: self.number("ipv4/tcp_fin_timeout").map_or(ours.fin_wait_2, Duration::from_secs),
            send_buffer_initial: octets(write.get(1), ours.send_buffer_initial),
            send_buffer_max: octets(write.get(2), ours.send_buffer_max),
            // Linux keeps half of a receive buffer for its own book-keeping, and advertises the other half.
            receive_buffer_initial: octets(read.get(1), 2 * ours.receive_buffer_initial) / 2,
            receive_buffer_max: octets(read.get(2), ours.receive_buffer_max),
            defaults: std::sync::Arc::new(settings),
            ..ours
        }
    }
}

fn octets(value: Option<&u64>, default: u32) -> u32 {
    value.and_then(|value| u32::try_from(*value).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests;
