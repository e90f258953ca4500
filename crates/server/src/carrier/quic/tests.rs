use super::*;

#[test]
fn ids_name_their_loop() {
    for loops in [1u8, 2, 3, 7, 64] {
        for this in 0..loops {
            let mut ids = LoopIds { this, loops };
            for _ in 0..2000 {
                let id = ids.generate_cid();
                assert_eq!(id.len(), CID_LEN);
                assert_eq!(id[0] % loops, this);
                let mut short = vec![0x40];
                short.extend_from_slice(&id);
                assert_eq!(owner(&short, loops), Some(this));
                let mut long = vec![0xc0, 0, 0, 0, 1, CID_LEN as u8];
                long.extend_from_slice(&id);
                assert_eq!(owner(&long, loops), Some(this));
            }
        }
    }
}

#[test]
fn what_is_too_short_has_no_owner() {
    for bytes in [&[][..], &[0x40], &[0xc0, 0, 0, 0, 1], &[0xc0, 0, 0, 0, 1, 8]] {
        assert_eq!(owner(bytes, 4), None, "{bytes:?}");
    }
    assert_eq!(owner(&[0xc0, 0, 0, 0, 1, 0], 4), Some(0));
}
