//! Messages by hand and round trips.

use super::*;
use proptest::prelude::*;

fn emitted(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = vec![0xee; message.wire_len()];
    message.emit(&mut bytes);
    bytes
}

fn group() -> Ipv6Addr {
    "ff02::fb".parse().unwrap()
}

#[test]
fn a_version_2_report_by_hand() {
    let records = [Record { kind: RecordType::CHANGE_TO_EXCLUDE, group: group() }];
    let message = Message::ReportV2 { records: Records::Values(&records) };
    let mut bytes = vec![143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0];
    bytes.extend(group().octets());
    assert_eq!(emitted(&message), bytes);
    assert_eq!(Message::parse(&bytes), Ok(message));
}

#[test]
fn records_with_sources_and_auxiliary_data_are_stepped_over() {
    let mut bytes = vec![143, 0, 0, 0, 0, 0, 0, 2];
    bytes.extend([6, 1, 0, 2]); // four bytes of auxiliary data, two sources
    bytes.extend(group().octets());
    bytes.extend([9; 32 + 4]);
    bytes.extend([3, 0, 0, 0]);
    bytes.extend(Ipv6Addr::LOCALHOST.octets());
    let Ok(Message::ReportV2 { records }) = Message::parse(&bytes) else { panic!("a report") };
    let expected = [
        Record { kind: RecordType(6), group: group() },
        Record { kind: RecordType::CHANGE_TO_INCLUDE, group: Ipv6Addr::LOCALHOST },
    ];
    assert_eq!(records.iter().collect::<Vec<_>>(), expected);
    assert_eq!(Message::parse(&bytes[..bytes.len() - 1]), Err(Malformed::Length));
    bytes[6] = 1; // 258 records
    assert_eq!(Message::parse(&bytes), Err(Malformed::TooMany));
}

#[test]
fn the_version_of_a_query_is_told_by_its_length() {
    let query = |code: u16, len: usize| {
        let mut bytes = vec![0; len];
        bytes[0] = 130;
        bytes[4..6].copy_from_slice(&code.to_be_bytes());
        match Message::parse(&bytes) {
            Ok(Message::Query { v2, max_response, .. }) => Ok((v2, max_response.as_millis())),
            Ok(other) => panic!("{other:?}"),
            Err(why) => Err(why),
        }
    };
    assert_eq!(query(10_000, 24), Ok((false, 10_000)));
    assert_eq!(query(0xffff, 24), Ok((false, 65_535)));
    assert_eq!(query(10_000, 28), Ok((true, 10_000)));
    // RFC 3810 5.1.3: 1|eee|m is (m + 4096) << (eee + 3); all ones is 8191 << 10.
    assert_eq!(query(0xffff, 28), Ok((true, 8_387_584)));
    assert_eq!(query(1, 26), Err(Malformed::Length));
    assert_eq!(query(1, 23), Err(Malformed::Truncated));
}

proptest! {
    #[test]
    fn messages_round_trip(which in 0u8..5, group: [u8; 16], millis in 0u16..0x8000, kinds in proptest::collection::vec(any::<u8>(), 0..9)) {
        let group = group.into();
        let records: Vec<_> = kinds.into_iter().map(|kind| Record { kind: RecordType(kind), group }).collect();
        let max_response = Duration::from_millis(millis.into());
        let message = match which {
            0 => Message::Query { group, max_response, v2: false },
            1 => Message::Query { group, max_response, v2: true },
            2 => Message::Report { group },
            3 => Message::Done { group },
            _ => Message::ReportV2 { records: Records::Values(&records) },
        };
        let bytes = emitted(&message);
        prop_assert_eq!(Message::parse(&bytes), Ok(message));
    }
}
