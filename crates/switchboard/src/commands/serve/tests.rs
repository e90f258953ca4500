use super::*;
use crate::args::{Args, Command};
use clap::Parser;

fn parse(flags: &str) -> Serve {
    let line = format!("switchboard serve {flags}");
    let Command::Serve(args) = Args::parse_from(line.split_whitespace()).command else { panic!() };
    args
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn without_flags_the_defaults_hold() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    let config = config(parse(&format!("--data {}", folder.display()))).unwrap();
    assert_eq!(config, Config { data: folder.clone(), ..Config::default() });
    assert!(!folder.exists());
}

#[test]
fn flags_go_before_the_file_and_the_file_before_defaults() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("x.toml");
    std::fs::write(
        &file,
        "domain = \"file.example\"\n[listen]\ntcp = [\"127.0.0.1:1\"]\ntls = [\"127.0.0.1:2\"]\n",
    )
    .unwrap();
    let flags = format!(
        "--data {} --config {} --tls none --quic 127.0.0.1:3 --quic 127.0.0.1:4 --drain 9",
        outside.path().display(),
        file.display()
    );
    let config = config(parse(&flags)).unwrap();
    assert_eq!(config.domain, "file.example");
    assert_eq!(config.listen.tcp, [address("127.0.0.1:1")]);
    assert_eq!(config.listen.tls, []);
    assert_eq!(config.listen.quic, [address("127.0.0.1:3"), address("127.0.0.1:4")]);
    assert_eq!(config.close.drain, Duration::from_secs(9));
}

#[test]
fn a_folder_brings_its_file_and_its_domain() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("data");
    let flags = format!("--data {}", folder.display());
    let opened = Arc::new(Folder::open(&folder).unwrap());
    drop(Sqlite::open(opened, Some("remembered.example"), data::now(), Default::default()).unwrap());
    assert_eq!(config(parse(&flags)).unwrap().domain, "remembered.example");
    assert_eq!(config(parse(&format!("{flags} --domain other.example"))).unwrap().domain, "other.example");
    std::fs::write(folder.join(CONFIG_NAME), "domain = \"file.example\"").unwrap();
    assert_eq!(config(parse(&flags)).unwrap().domain, "file.example");
}

#[test]
fn none_is_not_an_address_among_others() {
    let outside = tempfile::tempdir().unwrap();
    let flags = format!("--data {} --tcp none --tcp 127.0.0.1:1", outside.path().display());
    assert!(matches!(config(parse(&flags)), Err(Failure::Usage(_))));
}
