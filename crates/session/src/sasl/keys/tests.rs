//! Keys against vectors of others.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_salted_password_is_rfc_6070s_pbkdf2() {
    // RFC 6070, the test vector with 4096 iterations: PBKDF2-HMAC-SHA1("password", "salt", 4096, 20).
    let mut salted = [0; 20];
    pbkdf2::pbkdf2_hmac::<Sha1>(b"password", b"salt", 4096, &mut salted);
    assert_eq!(hex(&salted), "4b007901b765489abead49d926f721d065a429c1");
}

#[test]
fn hmac_sha1_and_sha256_are_rfc_2202s_and_4231s() {
    // RFC 2202 test case 2 and RFC 4231 test case 2, the text in two parts.
    let parts: [&[u8]; 2] = [b"what do ya want ", b"for nothing?"];
    assert_eq!(hex(&hmac_sha1(b"Jefe", &parts)), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    assert_eq!(
        hex(&hmac_sha256(b"Jefe", &parts)),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

#[test]
fn a_password_is_known_again_and_no_other_is() {
    let keys = derive_keys("pencil", *b"0123456789abcdef", 4096).unwrap();
    assert!(is_password("pencil", &keys));
    for other in ["Pencil", "pencil ", "", "pencil\u{7}"] {
        assert!(!is_password(other, &keys), "{other:?}");
    }
    let only_sha1 = Credentials { sha256: None, ..keys.clone() };
    assert!(is_password("pencil", &only_sha1));
    assert!(!is_password("pencil", &Credentials::default()));
}

#[test]
fn what_looks_the_same_is_the_same_password() {
    // RFC 4013 section 3: a soft hyphen is mapped to nothing, U+00AA to `a`, U+2168 to `IX`.
    let keys = derive_keys("IX", *b"0123456789abcdef", 4096).unwrap();
    for same in ["I\u{ad}X", "\u{2168}"] {
        assert!(is_password(same, &keys), "{same:?}");
    }
    assert_eq!(
        derive_keys("\u{7}", *b"0123456789abcdef", 4096),
        Err(UnfitPassword),
        "RFC 4013 section 3, prohibited"
    );
    assert_eq!(derive_keys("", *b"0123456789abcdef", 4096), Err(UnfitPassword));
}
