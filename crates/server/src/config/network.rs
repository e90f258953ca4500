//! The networks that an exchange listens on, as flags and file spell them: `kernel`, `tun:NAME,ADDR/LEN[,ADDR/LEN]`.
//! Owns: the spelling, and the rule for the kernel's own address on a TUN link.
//! Not here: opening devices (`exchange`), which listener goes where (`config`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Longest name of an interface on Linux, in octets (IFNAMSIZ less its end).
const NAME_MAX: usize = 15;
/// Networks of one exchange, the kernel included: a token's highest octet names the network, and WAKE takes the last.
pub const NETWORKS_MAX: usize = 16;

/// A network to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkSpec {
    /// The kernel's sockets. `kernel`.
    Kernel,
    /// Our own stack over a TUN interface. `tun:sb0,10.9.0.1/24`.
    Tun(TunSpec),
}

/// Our own stack over a TUN interface, which is made at the start and goes at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunSpec {
    /// The interface's name.
    pub name: String,
    /// The stack's own addresses, each with its prefix length: one or two, of different families.
    pub addresses: Vec<(IpAddr, u8)>,
}

impl TunSpec {
    /// The kernel's addresses on the link, so that this host reaches the stack: for each prefix its first address, or the
    /// second if the first is the stack's.
    pub fn kernel_addresses(&self) -> Vec<(IpAddr, u8)> {
        self.addresses.iter().map(|&(address, len)| (neighbour(address, len), len)).collect()
    }

    /// Whether an address is the stack's own.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == address)
    }
}

/// Of the two first hosts of a prefix, the one that is not `address`. In a prefix of two addresses those are both.
fn neighbour(address: IpAddr, len: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let host = 32 - u32::from(len);
            let net = u32::from(v4) & u32::MAX.checked_shl(host).unwrap_or(0);
            let first = net + u32::from(host > 1);
            let other = if u32::from(v4) == first { first + 1 } else { first };
            Ipv4Addr::from(other).into()
        }
        IpAddr::V6(v6) => {
            let host = 128 - u32::from(len);
            let net = u128::from(v6) & u128::MAX.checked_shl(host).unwrap_or(0);
            // The address of all zeroes is the routers' anycast (RFC 4291 2.6.1).
            let first = net + u128::from(host > 1);
            let other = if u128::from(v6) == first { first + 1 } else { first };
            Ipv6Addr::from(other).into()
        }
    }
}

impl FromStr for NetworkSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "kernel" {
            return Ok(Self::Kernel);
        }
        let how = "write kernel, or tun:NAME,ADDR/PREFIX such as tun:sb0,10.9.0.1/24, with an IPv6 address behind it if any";
        let Some(rest) = text.strip_prefix("tun:") else {
            return Err(format!("`{text}` is no network: {how}"));
        };
        let mut parts = rest.split(',');
        let name = parts.next().unwrap_or_default();
        if name.is_empty()
            || name.len() > NAME_MAX
            || !name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
        {
            return Err(format!("`{name}` is no interface name: it has 1 to {NAME_MAX} letters; {how}"));
        }
        let addresses = parts.map(address).collect::<Result<Vec<_>, _>>()?;
        let families = |v4: bool| addresses.iter().filter(|(address, _)| address.is_ipv4() == v4).count();
        if addresses.is_empty() || families(true) > 1 || families(false) > 1 {
            return Err(format!("`{text}` needs one address, or one of each family: {how}"));
        }
        Ok(Self::Tun(TunSpec { name: name.to_owned(), addresses }))
    }
}

fn address(text: &str) -> Result<(IpAddr, u8), String> {
    let wrong = || format!("`{text}` is no address with its prefix length, such as 10.9.0.1/24");
    let (address, len) = text.split_once('/').ok_or_else(wrong)?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let len: u8 = len.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 31 } else { 127 };
    if len == 0 || len > most {
        return Err(format!(
            "`{text}`: the link needs room for this host's own address too, so a prefix of 1 to {most}"
        ));
    }
    let group = address.is_multicast() || address.is_unspecified() || address.is_loopback();
    let (net, last) = match address {
        IpAddr::V4(v4) if len < 31 => {
            let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
            (u32::from(v4) & !mask == 0, u32::from(v4) | mask == u32::MAX)
        }
        _ => (false, false),
    };
    if group || net || last {
        return Err(format!("`{text}`: no host can have this address"));
    }
    Ok((address, len))
}

impl fmt::Display for NetworkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel"),
            Self::Tun(tun) => {
                write!(f, "tun:{}", tun.name)?;
                tun.addresses.iter().try_for_each(|(address, len)| write!(f, ",{address}/{len}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tun(text: &str) -> TunSpec {
        match text.parse() {
            Ok(NetworkSpec::Tun(tun)) => tun,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["kernel", "tun:sb0,10.9.0.1/24", "tun:sb0,10.9.0.1/24,fd00:9::1/64", "tun:x,fd00::5/127"]
        {
            assert_eq!(text.parse::<NetworkSpec>().unwrap().to_string(), text);
        }
        assert!(tun("tun:sb0,10.9.0.1/24").owns("10.9.0.1".parse().unwrap()));
        assert!(!tun("tun:sb0,10.9.0.1/24").owns("10.9.0.2".parse().unwrap()));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (text, why) in [
            ("tap:sb0,10.9.0.1/24", "is no network"),
            ("tun:", "is no interface name"),
            ("tun:a-name-too-long-for-linux,10.9.0.1/24", "is no interface name"),
            ("tun:sb0", "needs one address"),
            ("tun:sb0,10.9.0.1", "no address with its prefix length"),
            ("tun:sb0,10.9.0.1/33", "needs room"),
            ("tun:sb0,10.9.0.1/32", "needs room"),
            ("tun:sb0,10.9.0.0/24", "no host can have"),
            ("tun:sb0,10.9.0.255/24", "no host can have"),
            ("tun:sb0,224.0.0.1/24", "no host can have"),
            ("tun:sb0,10.9.0.1/24,10.8.0.1/24", "one of each family"),
        ] {
            let error = text.parse::<NetworkSpec>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn the_kernel_has_an_address_of_its_own() {
        for (ours, kernel) in [
            ("10.9.0.1/24", "10.9.0.2"),
            ("10.9.0.2/24", "10.9.0.1"),
            ("10.9.0.77/24", "10.9.0.1"),
            ("10.9.0.4/31", "10.9.0.5"),
            ("10.9.0.5/31", "10.9.0.4"),
            ("10.9.0.5/30", "10.9.0.6"),
            ("fd00:9::1/64", "fd00:9::2"),
            ("fd00:9::2/64", "fd00:9::1"),
            ("fd00:9::/127", "fd00:9::1"),
        ] {
            let spec = tun(&format!("tun:sb0,{ours}"));
            assert_eq!(spec.kernel_addresses()[0].0, kernel.parse::<IpAddr>().unwrap(), "{ours}");
        }
    }
}
