//! Our client and the exchange, in this process, with a cable between them that is cut again and again: nothing is lost, nothing
//! comes twice, and the session is the same all the while (XEP-0198 5).

#![allow(clippy::unwrap_used, reason = "in a test a surprise is a failure")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use server::admin::{self, Item, Request};
use server::{Config, Exchange};
use switchboard_client::connection::Happening;
use switchboard_client::session::{Account, Kept, Past};
use switchboard_client::{Connection, Message, Options, Over, Server, Trust};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use xmpp::address::AccountNumber;

const PASSWORD: &str = "correct horse battery staple";
/// Bursts of messages, each of so many.
const BURSTS: usize = 24;
const BURST: usize = 9;
/// All of a test; a machine with much to do is slow.
const WITHIN: Duration = Duration::from_secs(60);

/// An exchange with a folder and ports of its own.
struct House {
    exchange: Option<Exchange>,
    config: Config,
}

impl House {
    fn new(name: &str) -> Self {
        let data = std::env::temp_dir().join(format!("switchboard-client-{}-{name}", std::process::id()));
        let any: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap()];
        let mut config = Config { data, ..Config::default() };
        config.listen.tcp.clone_from(&any);
        config.listen.tls.clone_from(&any);
        config.listen.http.clone_from(&any);
        config.listen.quic.clear();
        config.listen.https.clear();
        config.engine.loops = 2;
        config.security.scram_iterations = 4096;
        // Who is told to leave leaves.
        config.close.drain = Duration::from_millis(200);
        let mut house = Self { exchange: None, config };
        house.start();
        house
    }

    fn start(&mut self) {
        let exchange = Exchange::start(self.config.clone()).unwrap_or_else(|error| panic!("{error}"));
        // The next one listens there too.
        let addresses = exchange.addresses();
        self.config.listen.tcp.clone_from(&addresses.tcp);
        self.config.listen.tls.clone_from(&addresses.tls);
        self.config.listen.http.clone_from(&addresses.http);
        self.exchange = Some(exchange);
    }

    /// Ends it politely, and starts the next on the same folder.
    fn restart(&mut self) {
        self.exchange.take().unwrap().shutdown();
        self.start();
    }

    fn account(&self) -> AccountNumber {
        let mut client = admin::Client::connect(&self.config.data).unwrap().expect("the exchange runs");
        let request =
            Request::AccountCreate { number: None, name: None, password: PASSWORD.into(), admin: false };
        let mut number = None;
        let answer = client.ask(&request, |item| {
            if let Item::Account(account) = item {
                number = AccountNumber::parse(&account.number.to_string());
            }
        });
        assert_eq!(answer.unwrap(), Ok(()));
        number.expect("an account was made")
    }

    fn address(&self, over: Over) -> SocketAddr {
        let addresses = self.exchange.as_ref().unwrap().addresses();
        match over {
            Over::Tcp => addresses.tcp[0],
            Over::Tls => addresses.tls[0],
            Over::Ws => addresses.http[0],
            Over::Wss | Over::Quic => panic!("no such cable"),
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.exchange.take();
        let _ = std::fs::remove_dir_all(&self.config.data);
    }
}

/// A cable to the exchange that can be cut: what is on it is lost. The next connection gets a new one.
struct Cable {
    near: SocketAddr,
    cut: watch::Sender<u64>,
}

impl Cable {
    async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap();
        let (cut, cuts) = watch::channel(0);
        tokio::task::spawn_local(async move {
            while let Ok((mut one, _)) = listener.accept().await {
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::task::spawn_local(async move {
                    let Ok(mut other) = TcpStream::connect(far).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut one, &mut other) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { near, cut }
    }

    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

/// A client as a program has it: it comes back by itself.
struct Device {
    options: Options,
    cable: Cable,
    connection: Option<Connection>,
    kept: Option<Kept>,
    pasts: Vec<Past>,
    acknowledged: u64,
}

impl Device {
    async fn new(house: &House, number: AccountNumber, over: Over) -> Self {
        let cable = Cable::to(house.address(over)).await;
        let options = Options {
            account: Account {
                number,
                domain: "localhost".into(),
                password: PASSWORD.into(),
                resource: None,
            },
            over,
            server: Server { host: cable.near.ip().to_string(), port: Some(cable.near.port()) },
            trust: Trust { files: Vec::new(), made: None, insecure: true },
            bind: None,
            timeout: WITHIN,
        };
        let mut device =
            Self { options, cable, connection: None, kept: None, pasts: Vec::new(), acknowledged: 0 };
        device.line().await;
        device
    }

    /// The line, made anew if it is gone.
    async fn line(&mut self) -> &mut Connection {
        if self.connection.is_none() {
            let connection =
                Connection::open_resumable(self.options.clone(), self.kept.take()).await.unwrap();
            self.pasts.push(connection.past());
            self.connection = Some(connection);
        }
        self.connection.as_mut().unwrap()
    }

    /// Cuts its cable and knows it at once: what had come and was not read is lost too.
    fn unplug(&mut self) {
        self.cable.cut();
        self.kept = self.connection.take().and_then(Connection::into_kept);
    }

    async fn happening(&mut self) -> Happening {
        loop {
            if let Ok(happening) = self.line().await.happening().await {
                if let Happening::Acknowledged(count) = happening {
                    self.acknowledged = count;
                }
                return happening;
            }
            self.kept = self.connection.take().unwrap().into_kept();
        }
    }

    /// Lets one thing happen; a stanza is taken.
    async fn step(&mut self) {
        if let Happening::Stanza { serial, .. } = self.happening().await {
            self.line().await.taken(serial);
        }
    }

    /// Waits until so many of its stanzas are acknowledged.
    async fn acknowledged(&mut self, serial: u64) {
        while self.acknowledged < serial {
            self.step().await;
        }
    }

    async fn be_available(&mut self) {
        let line = self.line().await;
        let presence = if line.is_framed() { "<presence xmlns='jabber:client'/>" } else { "<presence/>" };
        let serial = line.post(presence.into());
        self.acknowledged(serial).await;
    }

    /// The next message is this one.
    async fn hears(&mut self, body: &str) {
        loop {
            let Happening::Stanza { serial, stanza } = self.happening().await else { continue };
            self.line().await.taken(serial);
            if let Some(message) = Message::read(&stanza) {
                assert_eq!(message.body, body);
                return;
            }
        }
    }

    /// The first session is new, and it was the same on each of the many lines that followed.
    fn was_one_session(&self) {
        assert_eq!(self.pasts[0], Past::None);
        assert!(
            self.pasts.len() > 5 && self.pasts[1..].iter().all(|past| *past == Past::Resumed),
            "{:?}",
            self.pasts
        );
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let all = tokio::task::LocalSet::new();
    runtime.block_on(all.run_until(async { tokio::time::timeout(WITHIN, test).await.expect("in time") }));
}

/// Says messages in bursts, and cuts its cable behind each, sooner or later.
async fn write(device: &mut Device, to: AccountNumber) -> usize {
    let mut last = 0;
    for burst in 0..BURSTS {
        let line = device.line().await;
        for at in 0..BURST {
            let body = format!("{}", burst * BURST + at);
            last = line.post(Message::write(&format!("{to}@localhost"), &body, &body, line.is_framed()));
        }
        // So far it gets: from "nothing has left" to "the first few are acknowledged".
        for _ in 0..burst % 5 {
            if device.acknowledged < last {
                device.step().await;
            }
        }
        device.cable.cut();
    }
    device.acknowledged(last).await;
    let line = device.line().await;
    last = line.post(Message::write(&format!("{to}@localhost"), "end", "end", line.is_framed()));
    device.acknowledged(last).await;
    BURSTS * BURST
}

/// Reads until `end`, and cuts its cable now and then, behind a message that is not confirmed on the wire yet.
async fn read(device: &mut Device, seen: &RefCell<Vec<String>>) {
    loop {
        let Happening::Stanza { serial, stanza } = device.happening().await else { continue };
        let message = Message::read(&stanza);
        device.line().await.taken(serial);
        let Some(message) = message else { continue };
        let end = message.body == "end";
        seen.borrow_mut().push(message.body);
        if end {
            return;
        }
        if seen.borrow().len().is_multiple_of(13) {
            device.unplug();
        }
    }
}

fn over_a_cable_that_is_cut(over: Over) {
    let house = House::new(&over.to_string());
    run(async {
        let (ann, ben) = (house.account(), house.account());
        let mut writer = Device::new(&house, ann, over).await;
        let mut reader = Device::new(&house, ben, over).await;
        reader.be_available().await;
        let seen = RefCell::new(Vec::new());
        let (count, ()) = tokio::join!(write(&mut writer, ben), read(&mut reader, &seen));
        let mut all: Vec<String> = (0..count).map(|at| at.to_string()).collect();
        all.push("end".into());
        assert_eq!(*seen.borrow(), all, "each once, in order");
        reader.was_one_session();
        writer.was_one_session();
    });
}

#[test]
fn nothing_is_lost_or_comes_twice_over_tcp() {
    over_a_cable_that_is_cut(Over::Tcp);
}

#[test]
fn nothing_is_lost_or_comes_twice_over_tls() {
    over_a_cable_that_is_cut(Over::Tls);
}

#[test]
fn nothing_is_lost_or_comes_twice_over_websocket() {
    over_a_cable_that_is_cut(Over::Ws);
}

#[test]
fn a_session_outlives_the_exchange() {
    let mut house = House::new("restart");
    run(async {
        let (ann, ben) = (house.account(), house.account());
        let mut writer = Device::new(&house, ann, Over::Tls).await;
        let mut reader = Device::new(&house, ben, Over::Tcp).await;
        reader.be_available().await;
        for turn in 0..6 {
            let mut last = 0;
            for word in ["acknowledged", "under way"] {
                let body = format!("{word} {turn}");
                let line = writer.line().await;
                last = line.post(Message::write(&format!("{ben}@localhost"), &body, &body, line.is_framed()));
                if word == "acknowledged" {
                    writer.acknowledged(last).await;
                }
            }
            // The second has not left this program; the first may have been read there or not.
            if turn % 2 == 0 {
                reader.hears(&format!("acknowledged {turn}")).await;
                house.restart();
            } else {
                house.restart();
                reader.hears(&format!("acknowledged {turn}")).await;
            }
            writer.acknowledged(last).await;
            reader.hears(&format!("under way {turn}")).await;
        }
        reader.was_one_session();
        writer.was_one_session();
    });
}
