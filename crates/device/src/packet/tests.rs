use super::*;

#[test]
fn what_cannot_be_looked_at_is_named() {
    let error = PacketSocket::open("no-such-if0").expect_err("there is none");
    assert!(error.to_string().contains("no-such-if0"), "{error}");
    assert!(PacketSocket::open("lo\0").is_err());
}
