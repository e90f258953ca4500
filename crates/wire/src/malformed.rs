//! Why bytes are not the header they claim to be.
//! Owns: the list of reasons. A peer's mistake is not an error that climbs floors: the stack counts it and drops.

use core::fmt;

/// The reason a packet was refused at the door. Small and `Copy`, so that counting one costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Malformed {
    /// Fewer bytes than the fixed header.
    Truncated,
    /// The version field is not this protocol's.
    Version,
    /// A header length field points inside the fixed header or past the end.
    HeaderLength,
    /// A total or payload length field disagrees with the bytes present.
    Length,
    /// An option's length is impossible.
    OptionLength,
    /// A field holds a value that the protocol forbids.
    Field,
    /// More nested headers or tags than we are willing to walk.
    TooMany,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Truncated => "shorter than its fixed header",
            Malformed::Version => "wrong version",
            Malformed::HeaderLength => "impossible header length",
            Malformed::Length => "length field disagrees with the bytes present",
            Malformed::OptionLength => "impossible option length",
            Malformed::Field => "forbidden field value",
            Malformed::TooMany => "too many nested headers",
        })
    }
}

impl core::error::Error for Malformed {}
