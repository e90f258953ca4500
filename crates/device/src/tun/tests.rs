//! The header that goes beside a frame. What needs a kernel's interface is examined in a network namespace by
//! `cargo xtask interop`, with the kernel as peer.

use super::*;
use wire::meta::ChecksumOffload;

#[test]
fn what_is_asked_stands_where_virtio_says() {
    // virtio 1.2, 5.1.6: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset.
    let gso = Gso { kind: GsoKind::TcpV6, size: 0x0102, header_len: 0x0304 };
    let meta = TxMeta {
        checksum: Some(ChecksumOffload { start: 0x0506, offset: 0x0708 }),
        gso: Some(gso),
        queue: 0,
    };
    let mut expected = vec![1, 4];
    for word in [0x0304_u16, 0x0102, 0x0506, 0x0708] {
        expected.extend(word.to_ne_bytes());
    }
    assert_eq!(make_header(meta)[..], expected);
    assert_eq!(make_header(TxMeta::default()), [0; 10]);
    for (kind, number) in [(GsoKind::TcpV4, 1), (GsoKind::TcpV6, 4), (GsoKind::Udp, 5)] {
        let meta = TxMeta { gso: Some(Gso { kind, size: 1, header_len: 1 }), ..TxMeta::default() };
        assert_eq!(make_header(meta)[1], number);
    }
}

#[test]
fn what_the_kernel_vouches_for_is_believed_and_nothing_else() {
    let size = 1448_u16.to_ne_bytes();
    let table = [
        ([0, 0, 0, 0, size[0], size[1], 0, 0, 0, 0], RxMeta::default()),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], RxMeta { checksum_ok: true, ..RxMeta::default() }),
        ([2, 1, 0, 0, size[0], size[1], 0, 0, 0, 0], RxMeta { checksum_ok: true, gso_size: 1448, queue: 0 }),
        (
            [0, 0x84, 0, 0, size[0], size[1], 0, 0, 0, 0],
            RxMeta { checksum_ok: false, gso_size: 1448, queue: 0 },
        ),
    ];
    for (header, meta) in table {
        assert_eq!(read_header(&header), meta, "{header:?}");
    }
    assert_eq!(read_header(&[]), RxMeta::default(), "without offload there is no header");
}

#[test]
fn a_name_that_cannot_be_is_a_clear_error() {
    let error =
        Tun::open(&Options { name: "much-too-long-a-name".into(), ..Options::default() }).unwrap_err();
    assert!(error.to_string().contains("1 to 15 octets"), "{error}");
}
