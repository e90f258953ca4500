//! Filters: which packets of a capture are wanted, in the words of tcpdump.
//! Spec: the part of pcap-filter(7) that names hosts and ports:
//!
//! ```text
//! expr    = term { "or" term }
//! term    = factor { ["and"] factor }
//! factor  = "not" factor | "(" expr ")" | "tcp" | "udp" | "ip" | "ip6"
//!         | ["src" | "dst"] "host" ADDRESS | ["src" | "dst"] "net" ADDRESS/LENGTH | ["src" | "dst"] "port" NUMBER
//! ```
//! Owns: the tree. Invariants: at most [`TERMS_MAX`] words; matching allocates nothing.
//! Not here: matching in the kernel; a filter is applied to packets that were read.

use crate::dissect::{Dissected, Transport};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Words of a filter, at most.
pub const TERMS_MAX: usize = 256;

/// Which packets are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Test);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Transport(Transport),
    V6(bool),
    Host(Whose, IpAddr),
    Net(Whose, IpAddr, u8),
    Port(Whose, u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Either,
    Source,
    Destination,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoFilter(String);

impl fmt::Display for NoFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; a filter reads like `tcp and host 10.0.0.1 and not port 22`", self.0)
    }
}

impl std::error::Error for NoFilter {}

impl std::str::FromStr for Filter {
    type Err = NoFilter;

    fn from_str(text: &str) -> Result<Filter, NoFilter> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let words: Vec<&str> = spaced.split_whitespace().take(TERMS_MAX + 1).collect();
        if words.len() > TERMS_MAX {
            return Err(NoFilter(format!("a filter has {TERMS_MAX} words at most")));
        }
        let mut parser = Parser { words: &words };
        let test = parser.expr()?;
        match parser.words.first() {
            None => Ok(Filter(test)),
            Some(word) => Err(NoFilter(format!("`{word}` does not belong there"))),
        }
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn expr(&mut self) -> Result<Test, NoFilter> {
        let mut terms = vec![self.term()?];
        while self.take("or") {
            terms.push(self.term()?);
        }
        Ok(if terms.len() == 1 { terms.remove(0) } else { Test::Any(terms) })
    }

    fn term(&mut self) -> Result<Test, NoFilter> {
        let mut factors = vec![self.factor()?];
        while self.take("and") || self.words.first().is_some_and(|word| !matches!(*word, "or" | ")")) {
            factors.push(self.factor()?);
        }
        Ok(if factors.len() == 1 { factors.remove(0) } else { Test::All(factors) })
    }

    fn factor(&mut self) -> Result<Test, NoFilter> {
        let word = self.next().ok_or_else(|| NoFilter("the filter ends too early".to_owned()))?;
        let whose = match word {
            "src" => Whose::Source,
            "dst" => Whose::Destination,
            _ => Whose::Either,
        };
        let word = if whose == Whose::Either { word } else { self.next().unwrap_or_default() };
        let bad = |what: &str| NoFilter(format!("`{what}` does not follow `{word}`"));
        Ok(match (word, whose) {
            ("not", Whose::Either) => Test::Not(Box::new(self.factor()?)),
            ("(", Whose::Either) => {
                let inner = self.expr()?;
                if !self.take(")") {
                    return Err(NoFilter("a parenthesis is not closed".to_owned()));
                }
                inner
            }
            ("tcp", Whose::Either) => Test::Transport(Transport::Tcp),
            ("udp", Whose::Either) => Test::Transport(Transport::Udp),
            ("ip", Whose::Either) => Test::V6(false),
            ("ip6", Whose::Either) => Test::V6(true),
            ("host", whose) => {
                let text = self.next().unwrap_or_default();
                Test::Host(whose, text.parse().map_err(|_| bad(text))?)
            }
            ("port", whose) => {
                let text = self.next().unwrap_or_default();
                Test::Port(whose, text.parse().map_err(|_| bad(text))?)
            }
            ("net", whose) => {
                let text = self.next().unwrap_or_default();
                let (addr, len) = text.split_once('/').ok_or_else(|| bad(text))?;
                let addr: IpAddr = addr.parse().map_err(|_| bad(text))?;
                let len_max = if addr.is_ipv4() { 32 } else { 128 };
                let len: u8 = len.parse().ok().filter(|len| *len <= len_max).ok_or_else(|| bad(text))?;
                Test::Net(whose, addr, len)
            }
            (word, _) => return Err(NoFilter(format!("`{word}` is no word of a filter"))),
        })
    }
}

impl Filter {
    /// Whether a packet is wanted.
    #[must_use]
    pub fn wants(&self, packet: &Dissected<'_>) -> bool {
        self.0.holds(packet)
    }
}

impl Test {
    fn holds(&self, packet: &Dissected<'_>) -> bool {
        let either = |whose: &Whose, is: &dyn Fn(&SocketAddr) -> bool| match whose {
            Whose::Either => is(&packet.src) || is(&packet.dst),
            Whose::Source => is(&packet.src),
            Whose::Destination => is(&packet.dst),
        };
        match self {
            Test::All(tests) => tests.iter().all(|test| test.holds(packet)),
            Test::Any(tests) => tests.iter().any(|test| test.holds(packet)),
            Test::Not(test) => !test.holds(packet),
            Test::Transport(transport) => packet.body.transport() == *transport,
            Test::V6(v6) => packet.src.is_ipv6() == *v6,
            Test::Host(whose, host) => either(whose, &|end| end.ip() == *host),
            Test::Net(whose, net, len) => either(whose, &|end| within(end.ip(), *net, *len)),
            Test::Port(whose, port) => either(whose, &|end| end.port() == *port),
        }
    }
}

fn within(addr: IpAddr, net: IpAddr, len: u8) -> bool {
    match (addr, net) {
        (IpAddr::V4(addr), IpAddr::V4(net)) => {
            let differs = addr.to_bits() ^ net.to_bits();
            differs.checked_shr(32 - u32::from(len)).unwrap_or(0) == 0
        }
        (IpAddr::V6(addr), IpAddr::V6(net)) => {
            let differs = addr.to_bits() ^ net.to_bits();
            differs.checked_shr(128 - u32::from(len)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
