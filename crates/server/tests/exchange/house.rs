//! An exchange of a test's own: a folder that goes with it, ports of the system's choice, accounts on demand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use switchboard_server::admin::{self, Item, Line, Request};
use switchboard_server::{Config, Exchange};

pub(crate) const PASSWORD: &str = "correct horse battery staple";

pub(crate) struct House {
    exchange: Option<Exchange>,
    pub(crate) config: Config,
}

impl House {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("switchboard-test-{}-{count}", std::process::id());
        let mut config = Config { data: std::env::temp_dir().join(name), ..Config::default() };
        let any: Vec<SocketAddr> = vec!["127.0.0.1:0".parse().unwrap()];
        for listener in [
            &mut config.listen.tcp,
            &mut config.listen.tls,
            &mut config.listen.quic,
            &mut config.listen.http,
            &mut config.listen.https,
        ] {
            listener.clone_from(&any);
        }
        config.engine.loops = 2;
        config.security.scram_iterations = 4096;
        config.close.drain = Duration::from_secs(2);
        change(&mut config);
        let mut house = Self { exchange: None, config };
        house.start();
        house
    }

    pub(crate) fn usual() -> Self {
        Self::new(|_| {})
    }

    pub(crate) fn start(&mut self) {
        assert!(self.exchange.is_none());
        self.exchange = Some(Exchange::start(self.config.clone()).unwrap_or_else(|error| panic!("{error}")));
    }

    pub(crate) fn stop(&mut self) {
        self.exchange.take().unwrap().shutdown();
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        self.exchange.as_ref().unwrap()
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        self.exchange().addresses().tcp[0]
    }

    pub(crate) fn tls(&self) -> SocketAddr {
        self.exchange().addresses().tls[0]
    }

    pub(crate) fn quic(&self) -> SocketAddr {
        self.exchange().addresses().quic[0]
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.exchange().addresses().http[0]
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.exchange().addresses().https[0]
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.config.data.clone()
    }

    pub(crate) fn ask(&self, request: &Request) -> Result<Vec<Item>, String> {
        let mut client = admin::Client::connect(&self.config.data).unwrap().expect("the exchange runs");
        let mut items = Vec::new();
        match client.ask(request, |item| items.push(item)).unwrap() {
            Ok(()) => Ok(items),
            Err((code, reason)) => Err(format!("{code:?}: {reason}")),
        }
    }

    pub(crate) fn account(&self) -> u64 {
        let request =
            Request::AccountCreate { number: None, name: None, password: PASSWORD.into(), admin: false };
        match &self.ask(&request).unwrap()[..] {
            [Item::Account(account)] => account.number,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn who(&self) -> Vec<Line> {
        let lines = self.ask(&Request::Who).unwrap();
        lines
            .into_iter()
            .map(|item| match item {
                Item::Line(line) => line,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Waits until `who` shows what is waited for, by asking again.
    pub(crate) fn until(&self, what: impl Fn(&[Line]) -> bool) -> Vec<Line> {
        let begun = std::time::Instant::now();
        loop {
            let lines = self.who();
            if what(&lines) {
                return lines;
            }
            assert!(begun.elapsed() < crate::client::WITHIN, "never seen; at last: {lines:#?}");
            std::thread::yield_now();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.exchange.take();
        let _ = std::fs::remove_dir_all(&self.config.data);
    }
}
