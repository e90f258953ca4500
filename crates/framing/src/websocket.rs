//! WebSocket framing, the server's side, after the upgrade: octets to text messages and back.
//! Spec: RFC 6455 section 5 (frames), 5.4 (fragments), 5.5 (control frames), 7 (closing); RFC 7395 3.2: text only.
//! Owns: the header that arrives in pieces, the message that does; both are freed once whole.
//! Invariants: a message that lies whole in the input is unmasked in place and lent, never copied; nothing grows past
//! the message limit; after an error or a Close nothing more is decoded.
//! Not here: the upgrade itself (`server`), UTF-8 (the stream's scanner checks it), the XMPP framing (`session`).

#[cfg(test)]
mod tests;

/// RFC 6455 5.2: a client's frame header, its masking key included, has at most 14 octets.
const HEADER_MAX: usize = 14;
/// RFC 6455 5.5: a control frame carries at most 125.
const CONTROL_MAX: usize = 125;
/// A message's buffer starts no larger than this, whatever length its header claims.
const FIRST_RESERVE: usize = 4096;

/// Why a connection is closed (RFC 6455 7.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The purpose has been fulfilled.
    Normal = 1000,
    /// The frame breaks the protocol.
    ProtocolError = 1002,
    /// A binary message: RFC 7395 3.2 knows text only.
    Unsupported = 1003,
    /// A message longer than we take.
    TooBig = 1009,
}

/// What arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole text message, unmasked.
    Message(&'a [u8]),
    /// To be answered by a Pong with the same octets.
    Ping(&'a [u8]),
    /// The client closes (RFC 6455 5.5.1); to be answered by a Close, and by nothing after it.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    fin: bool,
    opcode: Opcode,
    len: usize,
    mask: [u8; 4],
}

/// The frame whose payload is under way.
#[derive(Debug)]
struct Partial {
    header: Header,
    /// Octets of this frame's payload that are still to come.
    left: usize,
}

/// Decodes what one client sends.
#[derive(Debug)]
pub struct Decoder {
    message_max: usize,
    header: [u8; HEADER_MAX],
    header_len: u8,
    /// A fragmented message is under way (RFC 6455 5.4).
    fragmented: bool,
    closed: bool,
    frame: Option<Box<Partial>>,
    /// What of the message has come, unmasked.
    message: Vec<u8>,
    /// What of a control frame has come; it may stand between the fragments of a message.
    control: Vec<u8>,
    /// What was lent last: to be freed before going on.
    lent: Lent,
}

#[derive(Clone, Copy, Debug, Default)]
enum Lent {
    #[default]
    Input,
    Message,
    Control,
}

impl Decoder {
    /// A decoder of messages of at most `message_max` octets, as the upgrade left it: at the start of a frame.
    pub fn new(message_max: usize) -> Self {
        Self {
            message_max,
            header: [0; HEADER_MAX],
            header_len: 0,
            fragmented: false,
            closed: false,
            frame: None,
            message: Vec::new(),
            control: Vec::new(),
            lent: Lent::Input,
        }
    }

    /// From now on longer, or shorter, messages are taken.
    pub fn set_message_max(&mut self, message_max: usize) {
        self.message_max = message_max;
    }

    /// Takes what it needs from the front of `input`; to be called until it answers `None`, which means that all
    /// input is used up. What it lends is lent until the next call.
    pub fn decode<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Incoming<'a>>, CloseCode> {
        match std::mem::take(&mut self.lent) {
            Lent::Input => {}
            Lent::Message => self.message = Vec::new(),
            Lent::Control => self.control = Vec::new(),
        }
        loop {
            if self.closed {
                *input = &mut [];
                return Ok(None);
            }
            if self.frame.is_none() {
                let Some(header) = self.take_header(input)? else { return Ok(None) };
                // The quick way: the whole frame is here, and it is a whole message or a control frame.
                let alone = header.fin && !(self.fragmented && header.opcode == Opcode::Continuation);
                if alone && header.len <= input.len() {
                    let (payload, rest) = std::mem::take(input).split_at_mut(header.len);
                    *input = rest;
                    unmask(payload, header.mask, 0);
                    match self.deliver(header.opcode, payload)? {
                        Some(incoming) => return Ok(Some(incoming)),
                        None => continue,
                    }
                }
                self.frame = Some(Box::new(Partial { header, left: header.len }));
            }
            let Some(frame) = self.frame.as_mut() else { return Ok(None) };
            let take = frame.left.min(input.len());
            let (payload, rest) = std::mem::take(input).split_at_mut(take);
            *input = rest;
            let header = frame.header;
            unmask(payload, header.mask, header.len - frame.left);
            frame.left -= take;
            let whole = frame.left == 0;
            let control = matches!(header.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
            let buffer = if control { &mut self.control } else { &mut self.message };
            if buffer.is_empty() {
                buffer.reserve(header.len.min(FIRST_RESERVE));
            }
            buffer.extend_from_slice(payload);
            if !whole {
                return Ok(None);
            }
            self.frame = None;
            if control {
                self.lent = Lent::Control;
                match header.opcode {
                    Opcode::Pong => self.control = Vec::new(),
                    Opcode::Close => {
                        close_code(&self.control)?;
                        self.closed = true;
                        return Ok(Some(Incoming::Close));
                    }
                    _ => return Ok(Some(Incoming::Ping(&self.control))),
                }
                continue;
            }
            if header.fin {
                self.fragmented = false;
                self.lent = Lent::Message;
                return Ok(Some(Incoming::Message(&self.message)));
            }
            self.fragmented = true;
        }
    }

    /// Octets held for a message or a header in pieces.
    pub fn held(&self) -> usize {
        self.message.capacity() + self.control.capacity()
    }

    fn deliver<'a>(&mut self, opcode: Opcode, payload: &'a [u8]) -> Result<Option<Incoming<'a>>, CloseCode> {
        match opcode {
            Opcode::Text | Opcode::Continuation => Ok(Some(Incoming::Message(payload))),
            Opcode::Ping => Ok(Some(Incoming::Ping(payload))),
            // RFC 6455 5.5.3: an unsolicited Pong asks for nothing.
            Opcode::Pong => Ok(None),
            Opcode::Close => {
                close_code(payload)?;
                self.closed = true;
                Ok(Some(Incoming::Close))
            }
        }
    }

    /// Gathers a header and checks it. `None`: it is not whole yet, and the input is used up.
    fn take_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, CloseCode> {
        if self.header_len == 0
            && let Some((header, used)) = self.parse_header(input)?
        {
            *input = &mut std::mem::take(input)[used..];
            return Ok(Some(header));
        }
        // It came in pieces: octet by octet into our own copy, which is rare and short.
        while let Some((first, rest)) = std::mem::take(input).split_first_mut() {
            self.header[usize::from(self.header_len)] = *first;
            self.header_len += 1;
            *input = rest;
            let so_far = self.header;
            if let Some((header, _)) = self.parse_header(&so_far[..usize::from(self.header_len)])? {
                self.header_len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    fn parse_header(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, CloseCode> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        // RFC 6455 5.2: reserved bits MUST be 0 unless an extension was negotiated, and none is.
        if first & 0x70 != 0 {
            return Err(CloseCode::ProtocolError);
        }
        // RFC 6455 5.1: a server MUST close upon a frame that is not masked.
        if second & 0x80 == 0 {
            return Err(CloseCode::ProtocolError);
        }
        let fin = first & 0x80 != 0;
        let opcode = match first & 0x0f {
            0x0 if self.fragmented => Opcode::Continuation,
            // RFC 6455 5.4: fragments of one message are not interleaved with another.
            0x1 if !self.fragmented => Opcode::Text,
            0x2 => return Err(CloseCode::Unsupported),
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return Err(CloseCode::ProtocolError),
        };
        let short = u64::from(second & 0x7f);
        let (len, at) = match short {
            126 => {
                let Some(len) = bytes.get(2..4) else { return Ok(None) };
                (u64::from(u16::from_be_bytes([len[0], len[1]])), 4)
            }
            127 => {
                let Some(len) = bytes.get(2..10) else { return Ok(None) };
                (u64::from_be_bytes(len.try_into().expect("eight octets")), 10)
            }
            len => (len, 2),
        };
        // RFC 6455 5.2: the minimal number of octets MUST be used, and the highest bit of 64 MUST be 0.
        if short == 126 && len < 126 || short == 127 && (len <= 0xffff || len >> 63 != 0) {
            return Err(CloseCode::ProtocolError);
        }
        if matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong) {
            // RFC 6455 5.5: at most 125 octets, and not fragmented.
            if len > CONTROL_MAX as u64 || !fin {
                return Err(CloseCode::ProtocolError);
            }
        } else if len.saturating_add(self.message.len() as u64) > self.message_max as u64 {
            return Err(CloseCode::TooBig);
        }
        let Some(mask) = bytes.get(at..at + 4) else { return Ok(None) };
        let mask = mask.try_into().expect("four octets");
        let len = usize::try_from(len).map_err(|_| CloseCode::TooBig)?;
        Ok(Some((Header { fin, opcode, len, mask }, at + 4)))
    }
}

/// RFC 6455 7.4: a Close is empty or begins with a code that may be sent.
fn close_code(payload: &[u8]) -> Result<(), CloseCode> {
    match payload {
        [] => Ok(()),
        [high, low, ..] => match u16::from_be_bytes([*high, *low]) {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(()),
            _ => Err(CloseCode::ProtocolError),
        },
        [_] => Err(CloseCode::ProtocolError),
    }
}

/// RFC 6455 5.3, eight octets at a time. `offset` is where in the frame's payload `bytes` begins.
fn unmask(bytes: &mut [u8], mask: [u8; 4], offset: usize) {
    let mut key = [0; 8];
    for (at, octet) in key.iter_mut().enumerate() {
        *octet = mask[(offset + at) % 4];
    }
    let wide = u64::from_ne_bytes(key);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let octets: [u8; 8] = (&*chunk).try_into().expect("chunks of eight");
        chunk.copy_from_slice(&(u64::from_ne_bytes(octets) ^ wide).to_ne_bytes());
    }
    for (octet, key) in chunks.into_remainder().iter_mut().zip(key) {
        *octet ^= key;
    }
}

/// Appends a text message, in one frame (RFC 6455 5.1: a server MUST NOT mask).
pub fn write_message(payload: &[u8], out: &mut Vec<u8>) {
    write_frame(0x81, payload, out);
}

/// Appends the answer to a Ping.
pub fn write_pong(payload: &[u8], out: &mut Vec<u8>) {
    write_frame(0x8a, payload, out);
}

/// Appends a Close; nothing may follow it.
pub fn write_close(code: CloseCode, out: &mut Vec<u8>) {
    write_frame(0x88, &(code as u16).to_be_bytes(), out);
}

fn write_frame(first: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.reserve(payload.len() + 10);
    out.push(first);
    match payload.len() {
        len @ 0..=125 => out.push(len as u8),
        len @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}
