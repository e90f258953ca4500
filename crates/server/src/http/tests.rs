use super::*;

fn site(trusted: &[&str]) -> Site {
    site_for(trusted, &[])
}

pub(super) fn site_for(trusted: &[&str], metrics_from: &[&str]) -> Site {
    let prefixes = |texts: &[&str]| texts.iter().map(|p| p.parse().unwrap()).collect();
    Site {
        pages: pages::Pages::new("chat.example", None),
        trusted_proxies: prefixes(trusted),
        door: Arc::new(|_| false),
        instruments: Instruments { read: Arc::new(Facts::default), metrics_from: prefixes(metrics_from) },
        reading: Semaphore::new(1),
    }
}

pub(super) fn headers(rows: &[(&'static str, &'static str)]) -> HeaderMap {
    rows.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
}

pub(super) fn way(remote: &str) -> Way {
    Way { remote: remote.parse().unwrap(), secure: false }
}

#[test]
fn the_accept_value_of_the_rfc() {
    // RFC 6455 1.3.
    assert_eq!(accept_value(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn only_trusted_proxies_say_who_the_client_is() {
    let rows: &[(&str, &[&str], &str, &str, bool)] = &[
        // connection, trusted, X-Forwarded-For, client, believed
        ("127.0.0.1:9", &["127.0.0.1"], "198.51.100.7", "198.51.100.7:0", true),
        ("127.0.0.1:9", &[], "198.51.100.7", "127.0.0.1:9", false),
        ("127.0.0.1:9", &["10.0.0.0/8"], "198.51.100.7", "127.0.0.1:9", false),
        // The client wrote 1.2.3.4 itself; the trusted inner proxy added what it saw.
        (
            "127.0.0.1:9",
            &["127.0.0.1", "10.0.0.0/8"],
            "1.2.3.4, 198.51.100.7, 10.0.0.2",
            "198.51.100.7:0",
            true,
        ),
        ("127.0.0.1:9", &["127.0.0.1"], "nonsense", "127.0.0.1:9", true),
    ];
    for (remote, trusted, value, client, believed) in rows {
        let headers = headers(&[("x-forwarded-for", value), ("x-forwarded-proto", "https")]);
        let found = Client::of(&site(trusted), way(remote), &headers);
        let expected =
            Client { remote: client.parse().unwrap(), forwarded: true, encrypted_by_proxy: *believed };
        assert_eq!(found, expected, "{remote} {trusted:?} {value}");
    }
    assert!(!Client::of(&site(&[]), way("127.0.0.1:9"), &HeaderMap::new()).forwarded);
}

#[test]
fn an_upgrade_says_all_that_the_rfcs_ask() {
    let good = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat, xmpp"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert!(upgrade_key(&headers(&good)).is_ok());
    for missing in 0..good.len() {
        let mut rows = good.to_vec();
        rows.remove(missing);
        assert!(upgrade_key(&headers(&rows)).is_err(), "without {}", good[missing].0);
    }
    let mut rows = good;
    rows[4].1 = "c2hvcnQ=";
    assert_eq!(upgrade_key(&headers(&rows)).unwrap_err().0, StatusCode::BAD_REQUEST);
}

#[test]
fn the_link_is_where_the_client_asked() {
    fn link(way: Way, rows: &[(&'static str, &'static str)]) -> Option<String> {
        websocket_link(&site(&["127.0.0.1"]), way, &headers(rows))
    }
    let plain = way("198.51.100.7:9");
    assert_eq!(link(plain, &[("host", "[::1]:5280")]).unwrap(), "ws://[::1]:5280/xmpp-websocket");
    let secure = Way { secure: true, ..plain };
    assert_eq!(link(secure, &[("host", "chat.example")]).unwrap(), "wss://chat.example/xmpp-websocket");
    let proxied = [("host", "chat.example"), ("x-forwarded-proto", "https")];
    assert_eq!(link(way("127.0.0.1:9"), &proxied).unwrap(), "wss://chat.example/xmpp-websocket");
    assert_eq!(link(plain, &proxied).unwrap(), "ws://chat.example/xmpp-websocket");
    for wrong in ["", "a'b", "a<b", "a/b"] {
        assert_eq!(link(plain, &[("host", wrong)]), None, "{wrong:?}");
    }
    assert_eq!(link(plain, &[]), None);
}
