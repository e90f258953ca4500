use super::*;

#[test]
fn requests_and_items_are_what_the_command_line_expects() {
    let rows = [
        (Request::Who, r#"{"op":"who"}"#),
        (
            Request::AccountCreate { number: Some(10_007), name: None, password: "p".into(), admin: false },
            r#"{"op":"account-create","number":10007,"password":"p"}"#,
        ),
        (Request::AccountDelete { number: 10_001 }, r#"{"op":"account-delete","number":10001}"#),
    ];
    for (request, text) in rows {
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
    }
    let error = Item::Error { code: ErrorCode::NoSuchAccount, reason: "no".into() };
    let text = r#"{"item":"error","code":"no-such-account","reason":"no"}"#;
    assert_eq!(serde_json::to_string(&error).unwrap(), text);
}

#[test]
fn a_line_ends_and_has_a_bound() {
    let mut line = Vec::new();
    assert_eq!(read_line(&mut &b"one\ntwo\n"[..], &mut line).unwrap(), 4);
    assert_eq!(line, b"one");
    line.clear();
    assert_eq!(read_line(&mut &b""[..], &mut line).unwrap(), 0);
    let long = vec![b'x'; LINE_MAX + 1];
    assert_eq!(read_line(&mut &long[..], &mut line).unwrap_err().kind(), io::ErrorKind::InvalidData);
    line.clear();
    assert_eq!(read_line(&mut &b"cut"[..], &mut line).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn no_folder_and_no_socket_mean_that_no_exchange_runs() {
    let folder = std::env::temp_dir().join(format!("switchboard-admin-{}", std::process::id()));
    assert!(Client::connect(&folder).unwrap().is_none());
    std::fs::create_dir_all(&folder).unwrap();
    assert!(Client::connect(&folder).unwrap().is_none());
    // A stale socket: its listener is gone.
    drop(std::os::unix::net::UnixListener::bind(folder.join(SOCKET_NAME)).unwrap());
    assert!(Client::connect(&folder).unwrap().is_none());
    std::fs::remove_dir_all(&folder).unwrap();
}
