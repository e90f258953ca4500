//! The outbox: what is to be written to one client, and, for carriers with messages, where each ends.
//!
//! Owns: a buffer that the server lends, empties and takes back.
//! Invariants: a framed outbox's boundaries rise and the last one is its length whenever a session's call has returned.
//! Not here: WebSocket frame headers, TLS records (`server`).

/// What waits to be written to one client.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// How many octets at the front have been taken. They go when they are the greater part, so that a client that takes
    /// a little at a time does not make the rest move each time.
    taken: usize,
    ends: Vec<usize>,
    framed: bool,
}

impl Outbox {
    /// An outbox for a byte stream.
    #[must_use]
    pub fn stream() -> Outbox {
        Outbox::default()
    }

    /// An outbox for a carrier that sends messages (RFC 7395).
    #[must_use]
    pub fn framed() -> Outbox {
        Outbox { framed: true, ..Outbox::default() }
    }

    /// An outbox of either kind that uses a buffer of the caller's, emptied.
    #[must_use]
    pub fn with_buffer(mut buffer: Vec<u8>, framed: bool) -> Outbox {
        buffer.clear();
        Outbox { bytes: buffer, framed, ..Outbox::default() }
    }

    /// Gives the buffer back.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether it is for a carrier that sends messages.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        self.framed
    }

    /// What waits.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// How many octets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The messages of a framed outbox, in order.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Forgets what waited, since it has been taken.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
        self.ends.clear();
    }

    /// Forgets the first `count` octets of a byte stream's outbox.
    ///
    /// # Panics
    /// When so many do not wait.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(!self.framed, "messages are taken whole");
        assert!(count <= self.len(), "so many octets wait");
        self.taken += count;
        if self.taken == self.bytes.len() {
            self.clear();
        } else if self.taken > self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Appends one top-level element, or several on a byte stream.
    pub(crate) fn element(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        if self.framed && self.ends.last() != Some(&self.bytes.len()) {
            self.ends.push(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outbox;

    #[test]
    fn messages_end_where_elements_end() {
        let mut outbox = Outbox::framed();
        outbox.element(|out| out.extend_from_slice(b"<a/>"));
        outbox.element(|_| ());
        outbox.element(|out| out.extend_from_slice(b"<bb/>"));
        assert_eq!(outbox.messages().collect::<Vec<_>>(), [&b"<a/>"[..], b"<bb/>"]);
        outbox.clear();
        assert_eq!(outbox.messages().count(), 0);
    }

    #[test]
    fn a_stream_is_consumed_from_the_front() {
        let mut outbox = Outbox::stream();
        outbox.element(|out| out.extend_from_slice(b"<a/><b/>"));
        outbox.consume(4);
        assert_eq!(outbox.bytes(), b"<b/>");
        outbox.consume(1);
        assert_eq!((outbox.bytes(), outbox.len()), (&b"b/>"[..], 3));
        outbox.element(|out| out.extend_from_slice(b"<c/>"));
        outbox.consume(3);
        assert_eq!(outbox.bytes(), b"<c/>");
        outbox.consume(4);
        assert!(outbox.is_empty());
    }
}
