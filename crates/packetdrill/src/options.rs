//! Socket options by their numbers.
//! Spec: socket(7), tcp(7), ip(7), ipv6(7) of Linux, uapi/linux/tcp.h.
//! Owns: the translation between a number with its value and the stack's `TcpOption`. What Linux takes and our stack has no use
//! for (IP_MTU_DISCOVER, SO_PRIORITY, ...) is taken and forgotten; what neither knows is ENOPROTOOPT.
//! Not here: what an option does.

use crate::errno::Errno;
use crate::host::Host;
use crate::{info, sysctl};
use stack::socket::options::TcpOption;
use std::os::fd::RawFd;
use std::time::Duration;
use tcp::{CongestionKind, Linger};

/// Not in `libc` for every target.
const TCP_INQ: libc::c_int = 36;
const SO_MEMINFO: libc::c_int = 55;
const TCP_CC_INFO: libc::c_int = 26;

/// A value as setsockopt() was given it.
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl Value<'_> {
    /// An integer; options of IP may be one octet (ip(7)).
    fn int(&self) -> Result<i32, Errno> {
        match *self.0 {
            [a, b, c, d, ..] => Ok(i32::from_ne_bytes([a, b, c, d])),
            [a, ..] => Ok(i32::from(a)),
            [] => Err(libc::EINVAL),
        }
    }

    fn on(&self) -> Result<bool, Errno> {
        Ok(self.int()? != 0)
    }

    fn unsigned(&self) -> Result<u32, Errno> {
        Ok(self.int()?.cast_unsigned())
    }

    fn secs(&self) -> Result<Duration, Errno> {
        u64::try_from(self.int()?).map(Duration::from_secs).map_err(|_| libc::EINVAL)
    }

    fn second_int(&self) -> Result<i32, Errno> {
        Value(self.0.get(4..).unwrap_or_default()).int()
    }
}

/// setsockopt().
pub(crate) fn set(
    host: &mut Host,
    fd: RawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &Value<'_>,
) -> Result<(), Errno> {
    let option = match (level, name) {
        (libc::SOL_SOCKET, libc::SO_REUSEADDR) => TcpOption::ReuseAddress(value.on()?),
        (libc::SOL_SOCKET, libc::SO_REUSEPORT) => TcpOption::ReusePort(value.on()?),
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => TcpOption::KeepAlive(value.on()?),
        (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => TcpOption::ReceiveLowWater(value.unsigned()?),
        (libc::SOL_SOCKET, libc::SO_LINGER) => {
            let span = Duration::from_secs(u64::try_from(value.second_int()?).unwrap_or(0));
            TcpOption::Linger(match (value.on()?, span) {
                (false, _) => Linger::Background,
                (true, Duration::ZERO) => Linger::Abort,
                (true, span) => Linger::Bounded(span),
            })
        }
        // Doubled, as Linux does: the other half is for book-keeping, which is charged to it too.
        (libc::SOL_SOCKET, libc::SO_SNDBUF) => {
            let size = value.unsigned()?.min(sysctl::send_buffer_max()).saturating_mul(2).max(BUFFER_MIN);
            host.descriptors.get_mut(fd)?.buffers.0 = Some(size);
            TcpOption::SendBuffer(Some(size))
        }
        (libc::SOL_SOCKET, libc::SO_RCVBUF) => {
            let size = value.unsigned()?.min(sysctl::receive_buffer_max()).saturating_mul(2).max(BUFFER_MIN);
            host.descriptors.get_mut(fd)?.buffers.1 = Some(size);
            TcpOption::ReceiveBuffer(Some(size / 2))
        }
        (libc::SOL_SOCKET, libc::SO_PRIORITY | libc::SO_MARK | libc::SO_BINDTODEVICE) => return Ok(()),
        (libc::SOL_TCP, libc::TCP_NODELAY) => TcpOption::NoDelay(value.on()?),
        (libc::SOL_TCP, libc::TCP_CORK) => TcpOption::Cork(value.on()?),
        (libc::SOL_TCP, libc::TCP_QUICKACK) => TcpOption::QuickAck(value.on()?),
        (libc::SOL_TCP, libc::TCP_MAXSEG) => {
            let size = u16::try_from(value.int()?).map_err(|_| libc::EINVAL)?;
            TcpOption::MaxSegment((size != 0).then_some(size))
        }
        // Linux's zero means "as the sysctl says".
        (libc::SOL_TCP, libc::TCP_NOTSENT_LOWAT) => {
            let mark = value.unsigned()?;
            let default = sysctl::tcp_config().defaults.not_sent_low_water;
            host.descriptors.get_mut(fd)?.not_sent_low_water = mark;
            TcpOption::NotSentLowWater(if mark == 0 { default } else { mark })
        }
        (libc::SOL_TCP, libc::TCP_USER_TIMEOUT) => {
            let millis = u64::from(value.unsigned()?);
            TcpOption::UserTimeout((millis > 0).then(|| Duration::from_millis(millis)))
        }
        (libc::SOL_TCP, libc::TCP_KEEPIDLE | libc::TCP_KEEPINTVL | libc::TCP_KEEPCNT) => {
            let mut timing = host.settings(fd)?.keepalive_timing;
            match name {
                libc::TCP_KEEPIDLE => timing.idle = value.secs()?,
                libc::TCP_KEEPINTVL => timing.interval = value.secs()?,
                _ => timing.probes = value.unsigned()?,
            }
            TcpOption::KeepAliveTiming(timing)
        }
        (libc::SOL_TCP, libc::TCP_SYNCNT) => {
            TcpOption::SynRetries(Some(u8::try_from(value.int()?).map_err(|_| libc::EINVAL)?))
        }
        (libc::SOL_TCP, libc::TCP_LINGER2) => TcpOption::FinWait2(match value.int()? {
            ..0 => Some(Duration::ZERO),
            0 => None,
            secs => Some(Duration::from_secs(secs.unsigned_abs().into())),
        }),
        (libc::SOL_TCP, libc::TCP_CONGESTION) => {
            TcpOption::Congestion(match value.0.split(|octet| *octet == 0).next().unwrap_or_default() {
                b"cubic" => CongestionKind::Cubic,
                b"reno" => CongestionKind::Reno,
                _ => return Err(libc::ENOENT),
            })
        }
        (libc::SOL_TCP, TCP_INQ) => {
            host.descriptors.get_mut(fd)?.inq = match value.int()? {
                on @ (0 | 1) => on == 1,
                _ => return Err(libc::EINVAL),
            };
            return Ok(());
        }
        (libc::SOL_IP, libc::IP_TTL) | (libc::SOL_IPV6, libc::IPV6_UNICAST_HOPS) => {
            TcpOption::HopLimit(u8::try_from(value.int()?).ok().filter(|hops| *hops > 0))
        }
        // The two lower bits are ECN's, which TCP sets by itself.
        (libc::SOL_IP, libc::IP_TOS) | (libc::SOL_IPV6, libc::IPV6_TCLASS) => {
            TcpOption::Dscp((value.int()? & 0xff) as u8 >> 2)
        }
        (libc::SOL_IPV6, libc::IPV6_V6ONLY) => TcpOption::V6Only(value.on()?),
        (libc::SOL_IP, libc::IP_MTU_DISCOVER | libc::IP_RECVERR | libc::IP_FREEBIND)
        | (libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER | libc::IPV6_RECVERR) => return Ok(()),
        _ => return Err(libc::ENOPROTOOPT),
    };
    host.set_option(fd, option)
}

/// Linux's SOCK_MIN_SNDBUF, rounded.
const BUFFER_MIN: u32 = 4_608;

/// getsockopt(): the value's octets.
pub(crate) fn get(
    host: &mut Host,
    fd: RawFd,
    level: libc::c_int,
    name: libc::c_int,
) -> Result<Vec<u8>, Errno> {
    let handle = host.descriptors.tcp(fd)?;
    let settings = host.settings(fd)?;
    let flag = |on: bool| i32::from(on);
    let secs = |span: Duration| i32::try_from(span.as_secs()).unwrap_or(i32::MAX);
    let stored = host.descriptors.get(fd)?;
    let (buffers, inq, low_water) = (stored.buffers, stored.inq, stored.not_sent_low_water);
    let value = match (level, name) {
        (libc::SOL_SOCKET, libc::SO_ERROR) => host.take_error(fd)?,
        (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_STREAM,
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_TCP,
        (libc::SOL_SOCKET, libc::SO_KEEPALIVE) => flag(settings.keepalive),
        (libc::SOL_SOCKET, libc::SO_RCVLOWAT) => settings.receive_low_water.cast_signed(),
        (libc::SOL_SOCKET, libc::SO_SNDBUF) => {
            buffers.0.unwrap_or_else(|| sysctl::tcp_config().send_buffer_initial).cast_signed()
        }
        (libc::SOL_SOCKET, libc::SO_RCVBUF) => {
            buffers.1.unwrap_or_else(|| 2 * sysctl::tcp_config().receive_buffer_initial).cast_signed()
        }
        (libc::SOL_SOCKET, libc::SO_LINGER) => {
            let (on, span): (i32, i32) = match settings.linger {
                Linger::Background => (0, 0),
                Linger::Abort => (1, 0),
                Linger::Bounded(span) => (1, secs(span)),
            };
            return Ok([on.to_ne_bytes(), span.to_ne_bytes()].concat());
        }
        (libc::SOL_SOCKET, SO_MEMINFO) => return Ok(info::meminfo(host.info(handle).as_ref())),
        (libc::SOL_TCP, libc::TCP_INFO) => {
            return Ok(info::tcp_info(host.info(handle).as_ref(), host.ages(handle), host.times(fd)));
        }
        // No algorithm of ours has something to tell here; Linux's CUBIC and Reno have not either.
        (libc::SOL_TCP, TCP_CC_INFO) => return Ok(Vec::new()),
        (libc::SOL_TCP, libc::TCP_MAXSEG) => match host.info(handle) {
            Some(info) if info.state.is_synchronized() => i32::from(info.snd_mss),
            _ => settings.max_segment.map_or(536, i32::from),
        },
        (libc::SOL_TCP, libc::TCP_NODELAY) => flag(settings.nodelay),
        (libc::SOL_TCP, libc::TCP_CORK) => flag(settings.cork),
        (libc::SOL_TCP, libc::TCP_NOTSENT_LOWAT) => low_water.cast_signed(),
        (libc::SOL_TCP, libc::TCP_USER_TIMEOUT) => {
            settings.user_timeout.map_or(0, |span| i32::try_from(span.as_millis()).unwrap_or(i32::MAX))
        }
        (libc::SOL_TCP, libc::TCP_KEEPIDLE) => secs(settings.keepalive_timing.idle),
        (libc::SOL_TCP, libc::TCP_KEEPINTVL) => secs(settings.keepalive_timing.interval),
        (libc::SOL_TCP, libc::TCP_KEEPCNT) => settings.keepalive_timing.probes.cast_signed(),
        (libc::SOL_TCP, TCP_INQ) => flag(inq),
        (libc::SOL_TCP, libc::TCP_CONGESTION) => {
            return Ok(match settings.congestion {
                CongestionKind::Cubic => b"cubic\0".to_vec(),
                CongestionKind::Reno => b"reno\0".to_vec(),
            });
        }
        (libc::SOL_IP, libc::IP_TTL) | (libc::SOL_IPV6, libc::IPV6_UNICAST_HOPS) => {
            settings.hop_limit.map_or(64, i32::from)
        }
        (libc::SOL_IP, libc::IP_TOS) | (libc::SOL_IPV6, libc::IPV6_TCLASS) => i32::from(settings.dscp) << 2,
        _ => return Err(libc::ENOPROTOOPT),
    };
    Ok(value.to_ne_bytes().to_vec())
}

#[cfg(test)]
mod tests;
