use std::net::SocketAddr;

/// The lab cannot ask the client, which it does not know; here both are known.
#[test]
fn the_lab_quotes_what_a_user_sees() {
    let address: SocketAddr = "10.0.0.1:4000".parse().expect("an address");
    let error = client::Error::BindInUse { address, protocol: "tcp", holder: None };
    assert_eq!(lab::scenarios::ports::message(address), error.to_string());
}
