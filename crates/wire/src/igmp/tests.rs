//! Messages by hand and round trips.

use super::*;
use proptest::prelude::*;

#[test]
fn a_report_by_hand() {
    // 1600 0000 e000 00fb sums to f6fb, complement 0904.
    let bytes = [0x16, 0, 0x09, 0x04, 224, 0, 0, 251];
    let message = Message::ReportV2 { group: Ipv4Addr::new(224, 0, 0, 251) };
    assert_eq!(Message::parse(&bytes), Ok(message));
    let mut out = [0xee; 8];
    assert_eq!(message.emit(&mut out), 8);
    assert_eq!(out, bytes);
    let mut bad = bytes;
    bad[7] ^= 1;
    assert_eq!(Message::parse(&bad), Err(Malformed::Field));
    assert_eq!(Message::parse(&bytes[..7]), Err(Malformed::Truncated));
}

#[test]
fn the_version_of_a_query_is_told_by_length_and_code() {
    let query = |code: u8, len: usize| {
        let mut bytes = vec![0; len];
        bytes[0] = 0x11;
        bytes[1] = code;
        let checksum = Sum::of(&bytes).checksum();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        match Message::parse(&bytes) {
            Ok(Message::Query { max_response, version, .. }) => (version, max_response.as_millis()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(query(0, 8), (QueryVersion::V1, 0));
    assert_eq!(query(100, 8), (QueryVersion::V2, 10_000));
    assert_eq!(query(255, 8), (QueryVersion::V2, 25_500));
    assert_eq!(query(100, 12), (QueryVersion::V3, 10_000));
    // RFC 3376 4.1.1: 1|eee|mmmm is (mmmm + 16) << (eee + 3); all ones is 31 << 10.
    assert_eq!(query(0x80, 12), (QueryVersion::V3, 12_800));
    assert_eq!(query(0xff, 12), (QueryVersion::V3, 3_174_400));
}

proptest! {
    #[test]
    fn messages_round_trip(kind in 0u8..4, group: [u8; 4], tenths in 1u8..) {
        let group = Ipv4Addr::from(group);
        let message = match kind {
            0 => Message::Query { group, max_response: Duration::from_millis(u64::from(tenths) * 100), version: QueryVersion::V2 },
            1 => Message::ReportV1 { group },
            2 => Message::ReportV2 { group },
            _ => Message::Leave { group },
        };
        let mut bytes = [0; LEN];
        message.emit(&mut bytes);
        prop_assert_eq!(Message::parse(&bytes), Ok(message));
    }
}
