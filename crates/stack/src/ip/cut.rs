//! Cut: a super-segment that the host cuts, since its device does not.
//! Spec: what a device does that cuts (Linux's TSO): each piece gets the headers again, with lengths, sequence number and checksums put
//! right; CWR stays on the first piece, FIN and PSH on the last.
//! Owns: nothing. Invariants: each frame is to the octet what [`Ip::emit`] would have made of the piece; headers are written once, and
//! of each piece only what differs; what the headers sum up to is summed once.
//! Not here: whether a device cuts (`tcp_host::output`), other ways than straight into a sink (`output`).

use super::output::{Link, Outgoing, Path, SendError, ip_header_len, write_ip_header, write_link_header};
use crate::counters::Counters;
use crate::frame::{ChecksumOffload, Outlets, TxMeta};
use crate::ip::Ip;
use tcp::Slices;
use wire::checksum::Sum;
use wire::ethernet::{self, MacAddr};
use wire::ip::{Protocol, pseudo};
use wire::ipv6;
use wire::tcp::{CHECKSUM_OFFSET, Flags, Header, MAX_HEADER_LEN};

/// The longest headers, link to transport.
const HEADERS_MAX: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN + MAX_HEADER_LEN;

/// The control bits of a piece.
pub(crate) fn flags_of_piece(flags: Flags, first: bool, last: bool) -> Flags {
    let mut taken = Flags::NONE;
    if !first {
        taken |= Flags::CWR;
    }
    if !last {
        taken |= Flags::FIN | Flags::PSH;
    }
    flags.without(taken)
}

/// The headers of one piece length: what all pieces of that length share.
struct Template {
    headers: [u8; HEADERS_MAX],
    /// Where the TCP header begins.
    start: usize,
    len: usize,
    /// Octets of text they speak of.
    text_len: usize,
    pseudo: Sum,
    /// The pseudo-header and the TCP header, without SEG.SEQ and the flags.
    fixed: Sum,
}

impl Template {
    /// Headers whose lengths are to be set.
    fn new(start: usize, header: &Header) -> Self {
        let mut template = Template {
            headers: [0; HEADERS_MAX],
            start,
            len: start + header.header_len(),
            text_len: usize::MAX,
            pseudo: Sum::ZERO,
            fixed: Sum::ZERO,
        };
        Header { seq: 0, flags: Flags::NONE, ..*header }.emit(&mut template.headers[start..]);
        template
    }

    fn set_len(&mut self, out: &Outgoing, hop_limit: u8, text_len: usize) {
        self.text_len = text_len;
        let tcp_len = self.len - self.start + text_len;
        let ip = self.start - ip_header_len(out.dst);
        write_ip_header(out, hop_limit, tcp_len, &mut self.headers[ip..]);
        self.pseudo = pseudo(out.src, out.dst, Protocol::TCP, tcp_len)
            .expect("one family, and a length that fits the path");
        self.fixed = self.pseudo.add_bytes(&self.headers[self.start..self.len]);
    }
}

impl Ip {
    /// Sends `text` in pieces of `size` octets under `header`, which is that of the first. There was room for each; one that the sink
    /// refuses all the same ends it. Returns how many left; `None`: this way takes none like this.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn emit_cut(
        &mut self,
        outlets: &mut dyn Outlets,
        counters: &mut Counters,
        path: &Path,
        out: &Outgoing,
        header: &Header,
        mut text: Slices<'_>,
        size: usize,
    ) -> Option<(usize, Result<(), SendError>)> {
        let link_len = match path.link {
            Link::Bare => 0,
            Link::Ethernet(mac) if !mac.is_multicast() => ethernet::HEADER_LEN,
            Link::Ethernet(_) | Link::Unresolved(_) | Link::Loopback => return None,
        };
        let start = link_len + ip_header_len(out.dst);
        let longest = start - link_len + header.header_len() + size;
        if out.dst.is_multicast() || longest > path.mtu as usize {
            return None;
        }
        let hop_limit = self.hop_limit(path.interface, out);
        let src_mac = self.interface(path.interface).map_or(MacAddr::UNSPECIFIED, |i| i.mac());
        let mut template = Template::new(start, header);
        write_link_header(path.link, src_mac, out.dst, &mut template.headers);
        let offload = ChecksumOffload { start: start as u16, offset: CHECKSUM_OFFSET as u16 };
        let meta = TxMeta { checksum: path.tx_checksum.then_some(offload), ..TxMeta::default() };
        let sink = outlets.outlet(path.interface)?;
        let mut seq = header.seq;
        let mut count = 0;
        loop {
            let piece = text.split_front(size);
            let last = text.len() == 0;
            if piece.len() != template.text_len {
                template.set_len(out, hop_limit, piece.len());
            }
            let flags = flags_of_piece(header.flags, count == 0, last);
            let (head_len, len) = (template.len, template.len + piece.len());
            let Some(frame) = sink.reserve(len) else { return Some((count, Err(SendError::Blocked))) };
            let (head, room) = frame[..len].split_at_mut(head_len);
            head.copy_from_slice(&template.headers[..head_len]);
            wire::tcp::put_seq_and_flags(&mut head[start..], seq, flags);
            piece.copy_to(room);
            if path.tx_checksum {
                wire::tcp::put_partial_checksum(&mut head[start..], template.pseudo);
            } else {
                // Summed where it now lies in one piece and in the nearest cache: a loop that copies and sums was measured to be no quicker.
                let sum = template.fixed.add_u32(seq).add_u16(flags.bits()).add_bytes(room);
                wire::tcp::put_checksum(&mut head[start..], sum.checksum());
            }
            sink.commit(len, meta);
            counters.frames_sent += 1;
            count += 1;
            if last {
                return Some((count, Ok(())));
            }
            seq = seq.wrapping_add(size as u32);
        }
    }
}
