use super::*;

#[test]
fn servers_are_read() {
    let server = |host: &str, port| Ok(Server { host: host.to_owned(), port });
    for (text, expected) in [
        ("example.org", server("example.org", None)),
        ("example.org:5222", server("example.org", Some(5222))),
        ("127.0.0.1:1", server("127.0.0.1", Some(1))),
        ("[::1]:443", server("::1", Some(443))),
        ("[::1]", server("::1", None)),
        ("::1", server("::1", None)),
    ] {
        assert_eq!(text.parse(), expected, "{text}");
    }
    for text in ["", ":1", "a:", "a:x", "a:70000", "a:0", "a:1:2", "[::1", "[x]:1", "[::1]1", "http://a"] {
        assert!(text.parse::<Server>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_holder() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = holder.local_addr().unwrap();
    let error = connect_tcp(&["127.0.0.1:9".parse().unwrap()], Some(own), Over::Tcp).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains(&format!("port {}/tcp is in use", own.port())), "{said}");
    if cfg!(target_os = "linux") {
        assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_an_error_that_names_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = connect_tcp(&[free], None, Over::Tls).await.unwrap_err();
    assert!(error.to_string().contains(&format!("nothing answers on {free}/tcp")), "{error}");
}
