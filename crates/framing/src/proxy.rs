//! The PROXY protocol: who a trusted proxy says the client is, before the first byte of the stream.
//! Spec: the PROXY protocol, versions 1 (text) and 2 (binary), sections 2.1 and 2.2.
//! Invariants: at most [`HEADER_MAX`] octets are looked at; what does not begin as a header is refused, since a proxy
//! that is trusted always sends one.
//! Not here: whom to trust, and the address of plain connections (`server`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Version 1 has at most 107 octets; version 2 is cut at this, which leaves room for its extensions.
pub const HEADER_MAX: usize = 16 + 2048;

const V1_MAX: usize = 107;
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client, where the proxy says; none for its own health checks.
    pub client: Option<SocketAddr>,
    /// How many octets the header took.
    pub len: usize,
}

/// No header, or a broken one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoHeader;

/// Reads the header at the front of `bytes`. `None`: more is needed.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    if bytes.len() >= V2_SIGNATURE.len() && bytes.starts_with(V2_SIGNATURE) {
        return parse_v2(bytes);
    }
    if V2_SIGNATURE.starts_with(bytes) {
        return Ok(None);
    }
    if bytes.starts_with(b"PROXY ") || b"PROXY ".starts_with(bytes) {
        return parse_v1(bytes);
    }
    Err(NoHeader)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let window = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() == V1_MAX { Err(NoHeader) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&window[..end]).map_err(|_| NoHeader)?;
    let mut words = line.split(' ').skip(1);
    let family = words.next().ok_or(NoHeader)?;
    let client = match family {
        "UNKNOWN" => None,
        "TCP4" | "TCP6" => {
            let mut word = || words.next().ok_or(NoHeader);
            let (source, _destination, port, _port) = (word()?, word()?, word()?, word()?);
            let address: IpAddr = source.parse().map_err(|_| NoHeader)?;
            if address.is_ipv4() != (family == "TCP4") {
                return Err(NoHeader);
            }
            Some(SocketAddr::new(address, port.parse().map_err(|_| NoHeader)?))
        }
        _ => return Err(NoHeader),
    };
    Ok(Some(Header { client, len: end + 2 }))
}

fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let Some(fixed) = bytes.get(12..16) else { return Ok(None) };
    let (version, command) = (fixed[0] >> 4, fixed[0] & 0x0f);
    let body = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if version != 2 || command > 1 || 16 + body > HEADER_MAX {
        return Err(NoHeader);
    }
    let Some(body) = bytes.get(16..16 + body) else { return Ok(None) };
    let len = 16 + body.len();
    // LOCAL: the proxy itself asks; it stands for nobody.
    if command == 0 {
        return Ok(Some(Header { client: None, len }));
    }
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let client = match fixed[1] {
        // TCP over IPv4: source, destination, source port, destination port.
        0x11 => {
            let body = body.get(..12).ok_or(NoHeader)?;
            let address: [u8; 4] = body[..4].try_into().map_err(|_| NoHeader)?;
            Some(SocketAddr::new(Ipv4Addr::from(address).into(), port(8)))
        }
        0x21 => {
            let body = body.get(..36).ok_or(NoHeader)?;
            let address: [u8; 16] = body[..16].try_into().map_err(|_| NoHeader)?;
            Some(SocketAddr::new(Ipv6Addr::from(address).into(), port(32)))
        }
        _ => None,
    };
    Ok(Some(Header { client, len }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([0x20 | command, family]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn headers_name_the_client() {
        let four = [192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x34, 0x14, 0x66];
        let mut six = [0u8; 36];
        six[..2].copy_from_slice(&[0x20, 0x01]);
        six[15] = 9;
        six[32..34].copy_from_slice(&[0, 80]);
        let rows: &[(Vec<u8>, Option<&str>)] = &[
            (b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 5222\r\n".to_vec(), Some("192.0.2.1:4660")),
            (b"PROXY TCP6 2001::9 ::1 80 5222\r\n".to_vec(), Some("[2001::9]:80")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN anything at all\r\n".to_vec(), None),
            (v2(1, 0x11, &four), Some("192.0.2.1:4660")),
            (v2(1, 0x11, &[&four[..], b"\x01\0\x01x"].concat()), Some("192.0.2.1:4660")),
            (v2(1, 0x21, &six), Some("[2001::9]:80")),
            (v2(0, 0, &[]), None),
            (v2(1, 0x31, &[0; 216]), None),
        ];
        for (header, client) in rows {
            let expected = Header { client: client.map(|c| c.parse().unwrap()), len: header.len() };
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Ok(None), "{cut} of {header:?}");
            }
            assert_eq!(parse(header), Ok(Some(expected)));
            let more = [&header[..], b"<?xml version='1.0'?>"].concat();
            assert_eq!(parse(&more), Ok(Some(expected)));
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let rows: &[Vec<u8>] = &[
            b"<stream:stream".to_vec(),
            b"PROXY TCP4 2001::9 ::1 80 5222\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 127.0.0.1 99999 5222\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
            b"PROXY SCTP 1 2 3 4\r\n".to_vec(),
            [&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(),
            v2(2, 0x11, &[]),
            v2(1, 0x11, &[0; 11]),
            v2(1, 0, &[0; 3000]),
        ];
        for bytes in rows {
            assert_eq!(parse(bytes), Err(NoHeader), "{bytes:?}");
        }
    }
}
