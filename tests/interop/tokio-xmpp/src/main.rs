//! Logs in with tokio-xmpp and prints the address it was bound to. The mechanism is the library's choice: the strongest
//! that is offered, so over TLS 1.3 one of the -PLUS family with `tls-exporter`.

use futures::StreamExt;
use std::time::Duration;
use tokio_xmpp::connect::{DnsConfig, StartTlsServerConnector};
use tokio_xmpp::jid::BareJid;
use tokio_xmpp::xmlstream::Timeouts;
use tokio_xmpp::{Client, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let jid: BareJid = arguments.next().expect("JID").parse().expect("a bare JID");
    let address = arguments.next().expect("HOST:PORT");
    let password = std::env::var("SWITCHBOARD_PASSWORD").expect("SWITCHBOARD_PASSWORD");
    let connector = StartTlsServerConnector::from(DnsConfig::Addr { addr: address });
    let mut client = Client::new_with_connector(jid, password, connector, Timeouts::default());
    let event = tokio::time::timeout(Duration::from_secs(20), client.next()).await.expect("an answer in time");
    match event {
        Some(Event::Online { bound_jid, .. }) => println!("online {bound_jid}"),
        other => panic!("not on line: {other:?}"),
    }
    let _ = client.send_end().await;
}
