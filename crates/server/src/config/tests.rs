use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("switchboard.toml"), text)
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::default());
    Config::default().check().unwrap();
}

#[test]
fn every_field_can_be_said() {
    let config = parse(
        r#"
        data = "/srv/switchboard"
        domain = "chat.example"
        networks = ["kernel", "tun:sb0,10.9.0.1/24,fd00:9::1/64"]
        [listen]
        tcp = ["0.0.0.0:5222", "[::1]:5222"]
        tls = "none"
        quic = []
        http = "127.0.0.1:8080"
        https = ["none", "127.0.0.1:8443"]
        [tls]
        cert = "c.pem"
        key = "k.pem"
        [limits]
        stanza_max_unauth = 20000
        stanza_max = 30000
        connections_max = 7
        login_secs = 1
        idle_secs = 2
        answer_secs = 3
        output_max = 40000
        unacked_max = 5
        unacked_bytes_max = 50000
        resources_max = 6
        blocked_max = 23
        roster_max = 8
        strangers_per_hour = 17
        [security]
        clear_text = "never"
        trusted_proxies = ["10.0.0.0/8", "::1"]
        scram_iterations = 4096
        fast = false
        mechanisms = ["SCRAM-SHA-256", "PLAIN"]
        [registration]
        mode = "open"
        user_invites = true
        per_hour = 3
        web = "https://web.example/"
        [offline]
        per_account_max = 9
        [pep]
        nodes_max = 18
        items_max = 19
        bytes_max = 20
        vcard_bytes_max = 21
        private_max = 24
        private_bytes_max = 22
        [privacy]
        strangers = "ask"
        profiles = "everyone"
        [archive]
        default = "roster"
        keep_days = 15
        per_account_max = 16
        [resume]
        secs = 15
        sessions_max = 16
        bytes_max = 17
        account_sessions_max = 18
        account_bytes_max = 19
        stanzas_max = 20
        [quic]
        retry = "always"
        streams_max = 2
        idle_secs = 4
        [http]
        metrics_from = ["192.0.2.0/24"]
        [log]
        format = "json"
        [engine]
        loops = 3
        mailbox_max = 10
        store_queue_max = 11
        backlog = 12
        [close]
        drain_secs = 13
        fin_wait_secs = 14
        "#,
    )
    .unwrap();
    let secs = Duration::from_secs;
    let expected = Config {
        networks: vec![NetworkSpec::Kernel, "tun:sb0,10.9.0.1/24,fd00:9::1/64".parse().unwrap()],
        data: "/srv/switchboard".into(),
        domain: "chat.example".into(),
        listen: Listen {
            tcp: vec!["0.0.0.0:5222".parse().unwrap(), "[::1]:5222".parse().unwrap()],
            tls: vec![],
            quic: vec![],
            http: vec!["127.0.0.1:8080".parse().unwrap()],
            https: vec!["127.0.0.1:8443".parse().unwrap()],
        },
        tls: Tls { cert: Some("c.pem".into()), key: Some("k.pem".into()) },
        limits: Limits {
            stanza_max_unauth: 20_000,
            stanza_max: 30_000,
            connections_max: 7,
            login: secs(1),
            idle: secs(2),
            answer: secs(3),
            output_max: 40_000,
            unacked_max: 5,
            unacked_bytes_max: 50_000,
            resources_max: 6,
            blocked_max: 23,
            roster_max: 8,
            strangers_per_hour: 17,
        },
        security: Security {
            clear_text: ClearText::Never,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            scram_iterations: 4096,
            mechanisms: vec![Mechanism::ScramSha256, Mechanism::Plain],
            fast: false,
        },
        registration: Registration {
            mode: session::Registration::Open,
            user_invites: true,
            per_hour: 3,
            web: Some("https://web.example".to_owned()),
        },
        offline: Offline { per_account_max: 9 },
        archive: Archive { default: ArchivePolicy::Roster, keep_days: 15, per_account_max: 16 },
        resume: Resume {
            time: secs(15),
            sessions_max: 16,
            bytes_max: 17,
            account_sessions_max: 18,
            account_bytes_max: 19,
            stanzas_max: 20,
        },
        pep: Pep {
            nodes_max: 18,
            items_max: 19,
            bytes_max: 20,
            vcard_bytes_max: 21,
            private_max: 24,
            private_bytes_max: 22,
        },
        privacy: Privacy { strangers: StrangerPolicy::Ask, profiles: Profiles::Everyone },
        quic: Quic { retry: Retry::Always, streams_max: 2, idle: secs(4) },
        http: Http { metrics_from: vec!["192.0.2.0/24".parse().unwrap()] },
        log: Log { format: LogFormat::Json },
        engine: Engine { loops: 3, mailbox_max: 10, store_queue_max: 11, backlog: 12 },
        close: Close { drain: secs(13), fin_wait: secs(14) },
    };
    assert_eq!(config, expected);
}

#[test]
fn a_mistake_names_its_line_and_column() {
    let rows: &[(&str, (usize, usize), &str)] = &[
        ("domain = \"a\"\ndomian = \"b\"\n", (2, 1), "unknown field"),
        ("domain = 7\n", (1, 10), "invalid type"),
        ("[listen]\ntcp = [\n  \"127.0.0.1:5222\",\n  \"localhost\"]\n", (4, 3), "no address to listen on"),
        ("networks = [\"kernel\", \"tun:sb0\"]\n", (1, 23), "needs one address"),
        ("networks = [\"kernel\", \"kernel\"]\n", (1, 12), "are the same"),
        ("networks = []\n", (1, 12), "at least one"),
        (
            "networks = [\"tun:sb0,10.9.0.1/24\"]\n[listen]\ntcp = \"127.0.0.1:1\"\n",
            (3, 7),
            "none of the networks",
        ),
        ("[limits]\nstanza_max = 5\n", (2, 14), "must not be below"),
        ("[archive]\ndefault = \"some\"\n", (2, 11), "one of \"always\""),
        ("[archive]\nper_account_max = 0\n", (2, 19), "at least 1"),
        ("[security]\ntrusted_proxies = [\"10.0.0.0/33\"]\n", (2, 20), "no address or prefix"),
        ("[security]\nscram_iterations = 1000\n", (2, 20), "4096"),
        ("[security]\nmechanisms = [\"PLAIN\", \"DIGEST-MD5\"]\n", (2, 24), "no SASL mechanism"),
        ("[security]\nmechanisms = []\n", (2, 14), "nobody can log in"),
        ("[tls]\ncert = \"c.pem\"\n", (2, 8), "belong together"),
        ("[listen\n", (1, 8), ""),
        ("domain = \"é\" x\n", (1, 14), ""),
    ];
    for (text, at, reason) in rows {
        let error = parse(text).unwrap_err();
        assert_eq!(error.at, Some(*at), "{text:?}: {error}");
        assert!(error.to_string().contains(reason), "{text:?}: {error}");
        assert!(error.to_string().starts_with(&format!("switchboard.toml:{}:{}: ", at.0, at.1)));
    }
}

#[test]
fn prefixes_hold_what_they_cover() {
    let rows = [
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:1::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("::1", "::1", true),
        ("::1", "::2", false),
    ];
    for (prefix, address, holds) in rows {
        let prefix: Prefix = prefix.parse().unwrap();
        assert_eq!(prefix.contains(address.parse().unwrap()), holds, "{prefix} {address}");
    }
    for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1"] {
        assert!(wrong.parse::<Prefix>().is_err(), "{wrong:?}");
    }
}

/// Where listeners go that nobody placed, and which network an address belongs to.
#[test]
fn listeners_follow_the_networks() {
    let read = |text: &str| Config::parse(Path::new("x.toml"), text).unwrap();
    let tun = read("networks = [\"tun:sb0,10.9.0.1/24,fd00:9::1/64\"]\n");
    let addresses = |port: u16| -> Vec<SocketAddr> {
        vec![format!("10.9.0.1:{port}").parse().unwrap(), format!("[fd00:9::1]:{port}").parse().unwrap()]
    };
    assert_eq!(tun.listen.tcp, addresses(5222));
    assert_eq!(tun.listen.tls, addresses(5223));
    assert_eq!(tun.listen.quic, addresses(5222));
    assert_eq!(tun.listen.http, Listen::default().http, "HTTP is the kernel's");
    assert_eq!(tun.networks_of("10.9.0.1".parse().unwrap()), [1]);
    assert_eq!(tun.networks_of("0.0.0.0".parse().unwrap()), [1]);
    assert!(tun.networks_of("10.9.0.2".parse().unwrap()).is_empty());

    let both = read("networks = [\"kernel\", \"tun:sb0,10.9.0.1/24\"]\n[listen]\ntls = \"none\"\n");
    assert_eq!(both.listen.tcp, ["127.0.0.1:5222".parse().unwrap(), "10.9.0.1:5222".parse().unwrap()]);
    assert!(both.listen.tls.is_empty(), "what the file says stays");
    assert_eq!(both.networks_of("10.9.0.1".parse().unwrap()), [1]);
    assert_eq!(both.networks_of("10.9.0.2".parse().unwrap()), [0]);
    assert_eq!(both.networks_of("0.0.0.0".parse().unwrap()), [0, 1]);
    assert_eq!(both.networks_of("::".parse().unwrap()), [0]);
}

#[test]
fn our_own_stack_has_a_loop_a_core_as_the_kernel_has() {
    let parse = |text: &str| Config::parse(Path::new("switchboard.toml"), text).unwrap();
    let networks = "networks = [\"tun:sb0,10.9.0.1/24\"]\n";
    assert_eq!(parse(networks).loops(), parse("").loops());
    assert_eq!(parse(&format!("{networks}[engine]\nloops = 3\n")).loops(), 3);
}

#[test]
fn the_store_is_told_what_it_may_keep() {
    let read = |text: &str| Config::parse(Path::new("x.toml"), text).unwrap().store().limits;
    let day = Duration::from_secs(24 * 3600);
    let limits = read("[archive]\nkeep_days = 15\nper_account_max = 16\n[offline]\nper_account_max = 9\n");
    assert_eq!(limits.archive_keep, Some(15 * day));
    assert_eq!((limits.archive_rows_max, limits.offline_rows_max), (16, 9));
    assert_eq!(read("[archive]\nkeep_days = 0\n").archive_keep, None, "for ever");
    assert_eq!(read("").archive_keep, Some(365 * day));
}
