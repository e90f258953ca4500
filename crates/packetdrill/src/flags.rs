//! `--so_flags`: what packetdrill does not tell a shared object by itself.
//! Owns: the syntax, `local=ADDRESS[/PREFIX],remote=ADDRESS,mtu=OCTETS`.
//! Not here: what the script's commands set (`sysctl`).

use std::net::IpAddr;

/// What the flags say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags {
    /// Our address and the length of its prefix.
    pub(crate) local: (IpAddr, u8),
    /// packetdrill's `--mtu`.
    pub(crate) mtu: u32,
}

const IPV4_PREFIX: u8 = 16;
const IPV6_PREFIX: u8 = 64;
const MTU: u32 = 1500;

impl Flags {
    /// Reads the flags. `remote` is taken for the reader's sake: everything that is not ours is reached over the one interface.
    pub(crate) fn parse(text: &str) -> Result<Flags, String> {
        let mut local = None;
        let mut mtu = MTU;
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| wrong(part))?;
            match key {
                "local" => local = Some(address(value).ok_or_else(|| wrong(part))?),
                "remote" => {
                    address(value).ok_or_else(|| wrong(part))?;
                }
                "mtu" => mtu = value.parse().map_err(|_| wrong(part))?,
                _ => return Err(wrong(part)),
            }
        }
        let local = local.ok_or("--so_flags: local=ADDRESS is missing")?;
        Ok(Flags { local, mtu })
    }
}

fn wrong(part: &str) -> String {
    format!("--so_flags: {part}: not one of local=ADDRESS[/PREFIX], remote=ADDRESS, mtu=OCTETS")
}

fn address(text: &str) -> Option<(IpAddr, u8)> {
    let (addr, prefix) = text.split_once('/').map_or((text, None), |(addr, prefix)| (addr, Some(prefix)));
    let addr: IpAddr = addr.parse().ok()?;
    let (usual, most) = if addr.is_ipv4() { (IPV4_PREFIX, 32) } else { (IPV6_PREFIX, 128) };
    let prefix = prefix.map_or(Some(usual), |prefix| prefix.parse().ok().filter(|prefix| *prefix <= most))?;
    Some((addr, prefix))
}

#[cfg(test)]
mod tests {
    use super::Flags;

    #[test]
    fn flags_say_address_prefix_and_mtu() {
        let table = [
            ("local=192.168.0.1,remote=192.0.2.1,mtu=1400", Ok(("192.168.0.1", 16, 1400))),
            ("local=10.0.0.1/8", Ok(("10.0.0.1", 8, 1500))),
            ("local=fd3d:a0b:17d6::1,mtu=1520", Ok(("fd3d:a0b:17d6::1", 64, 1520))),
            ("remote=192.0.2.1", Err(())),
            ("local=192.168.0.1/33", Err(())),
            ("local=192.168.0.1,speed=9", Err(())),
            ("local", Err(())),
        ];
        for (text, want) in table {
            let got = Flags::parse(text).map(|flags| (flags.local.0.to_string(), flags.local.1, flags.mtu));
            let want = want.map(|(addr, prefix, mtu): (&str, u8, u32)| (addr.to_owned(), prefix, mtu));
            assert_eq!(got.map_err(|_| ()), want, "{text}");
        }
    }
}
