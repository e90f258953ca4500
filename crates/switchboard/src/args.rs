//! What can be typed: the one definition that parsing, help, completions and manual pages are made from.
//!
//! Owns: names, values' syntax, defaults as they are shown. Invariants: what is wrong in itself is refused here, by clap,
//! with exit code 2; what can only be judged with more knowledge is checked by the command.
//! Not here: doing it (`commands`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args as ClapArgs, Parser, Subcommand};
use client::{Over, Server};
use server::config::NetworkSpec;
use xmpp::address::AccountNumber;

/// Instant messaging by number, over TCP and UDP.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, propagate_version = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed (a line on standard error says why), 2 wrong usage.")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the exchange until it is told to leave (SIGTERM, SIGINT)
    Serve(Serve),
    /// Make, list and change accounts; works while the exchange runs and while it does not
    Account(Account),
    /// Make, list and take back invites: whoever has one makes an account with any XMPP client, or in the browser
    Invite(InviteArgs),
    /// Show every line: number, resource, carrier, network, remote address, state, since
    Who(Who),
    /// Draw the segments or datagrams of a number's line, live; for lines on our own stack (`serve --network tun:...`)
    Trace(Trace),
    /// Chat in the terminal: conversations, history, typing, marks
    Chat(Chat),
    /// Send a message; succeeds only once the exchange has acknowledged it
    Send(Send),
    /// Print each message as it comes
    Listen(Listen),
    /// Draw a conversation out of a capture as a ladder: two hosts, time downwards; without --flow, list the conversations
    Ladder(Ladder),
    /// Play a rule of connecting or closing, and draw it; without a name, list the scenarios
    Lab(Lab),
    /// Print whom accounts have reported for spam or abuse, and why; works while the exchange runs and while it does not
    Reports(Reports),
    /// Copy a data folder into one file, for its owner's eyes; works while the exchange runs and while it does not
    Backup(Backup),
    /// Write every account as XEP-0227, for other servers; works while the exchange runs and while it does not
    Export(Export),
    /// Take accounts over that XEP-0227 describes, all of them or none; the exchange must not run
    Import(Import),
    /// Say what is wrong with a switchboard.toml, with line and column
    CheckConfig(CheckConfig),
    /// Print a completion script
    #[command(hide = true)]
    Completions(Completions),
    /// Print the manual page, or write all of them into a folder
    #[command(hide = true)]
    Man(Man),
}

/// The data folder, for every command that looks into it.
#[derive(Debug, ClapArgs)]
pub(crate) struct Data {
    /// The exchange's data folder
    #[arg(long, value_name = "DIR", default_value = "./switchboard-data")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Serve {
    /// The data folder, made if it is not there [default: ./switchboard-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A switchboard.toml; flags go before what it says [default: DIR/switchboard.toml if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The domain that the numbers live at [default: the one the data folder remembers, or localhost]
    #[arg(long, value_name = "D")]
    pub(crate) domain: Option<String>,
    /// Listen on this network: `kernel`, or `tun:NAME,ADDR/PREFIX[,ADDR6/PREFIX]`, our own TCP and UDP over a TUN interface that is
    /// made, and removed at the end (needs CAP_NET_ADMIN); may repeat [default: kernel]
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    pub(crate) network: Vec<NetworkSpec>,
    /// Listen for XMPP over TCP with STARTTLS; may repeat; `none` switches it off [default: port 5222 of 127.0.0.1, or of the network's own address]
    #[arg(long, value_name = "ADDR", value_parser = listener)]
    pub(crate) tcp: Vec<Listener>,
    /// Listen for XMPP over direct TLS; may repeat; `none` [default: port 5223 there]
    #[arg(long, value_name = "ADDR", value_parser = listener)]
    pub(crate) tls: Vec<Listener>,
    /// Listen for XMPP over QUIC, on UDP; may repeat; `none` [default: port 5222 there]
    #[arg(long, value_name = "ADDR", value_parser = listener)]
    pub(crate) quic: Vec<Listener>,
    /// Listen for HTTP, with WebSocket at /xmpp-websocket; may repeat; `none` [default: 127.0.0.1:5280]
    #[arg(long, value_name = "ADDR", value_parser = listener)]
    pub(crate) http: Vec<Listener>,
    /// Listen for the same over TLS; may repeat; `none` [default: none]
    #[arg(long, value_name = "ADDR", value_parser = listener)]
    pub(crate) https: Vec<Listener>,
    /// The certificate chain, PEM; read again on SIGHUP [default: made in the data folder]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// How long clients may take to leave when the exchange does [default: 5]
    #[arg(long, value_name = "SECS")]
    pub(crate) drain: Option<u32>,
}

/// An address to listen on, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listener(pub(crate) Option<SocketAddr>);

fn network(text: &str) -> Result<NetworkSpec, String> {
    text.parse()
}

fn listener(text: &str) -> Result<Listener, String> {
    server::config::parse_listener(text).map(Listener)
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Account {
    #[command(subcommand)]
    pub(crate) command: AccountCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Make an account and print its number
    Create(AccountCreate),
    /// Print each account: number, state, name
    List(AccountList),
    /// Set a new password; ends the account's live sessions
    Password(AccountPassword),
    /// No log-in from now on; ends the account's live sessions
    Disable(AccountOne),
    /// Log-in again
    Enable(AccountOne),
    /// Delete the account and all it holds; its number is never given out again
    Delete(AccountOne),
    /// End the account's live sessions, and every token that logs in without the password
    LogOut(AccountOne),
    /// Let the account do what an operator may, or no longer
    Admin(AccountAdmin),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AccountAdmin {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Whose
    #[arg(value_name = "N", value_parser = number)]
    pub(crate) number: AccountNumber,
    /// Whether
    #[arg(value_name = "on|off", value_parser = on_off(), action = clap::ArgAction::Set)]
    pub(crate) admin: bool,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct InviteArgs {
    #[command(subcommand)]
    pub(crate) command: Option<InviteCommand>,
    #[command(flatten)]
    pub(crate) make: InviteMake,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InviteCommand {
    /// Print each invite that is good: its number, and until when
    List(InviteList),
    /// Take an invite back; its number is free again
    Revoke(AccountOne),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InviteMake {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Hold this number back for it [default: the first free one from 10001 up]
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) number: Option<AccountNumber>,
    /// Hold no number back until it is opened
    #[arg(long, conflicts_with = "number")]
    pub(crate) any: bool,
    /// How long it is good for: 30m, 12h, 7d
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    pub(crate) expires: Duration,
    /// Print the xmpp: URI and nothing else
    #[arg(long, conflicts_with = "json")]
    pub(crate) uri_only: bool,
    /// A JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct InviteList {
    #[command(flatten)]
    pub(crate) data: Data,
    /// A JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AccountCreate {
    #[command(flatten)]
    pub(crate) data: Data,
    /// This number [default: the first free one from 10001 up]
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) number: Option<AccountNumber>,
    /// What people may call it
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// It may do what an operator may
    #[arg(long)]
    pub(crate) admin: bool,
    #[command(flatten)]
    pub(crate) password: Password,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AccountList {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Only this one
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) number: Option<AccountNumber>,
    /// Only those of this name
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// A JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AccountPassword {
    #[command(flatten)]
    pub(crate) one: AccountOne,
    #[command(flatten)]
    pub(crate) password: Password,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct AccountOne {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Whose
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) number: AccountNumber,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Password {
    /// Take the password from the first line of this file, rather than from SWITCHBOARD_PASSWORD or the terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Who {
    #[command(flatten)]
    pub(crate) data: Data,
    /// A JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Keep looking, every SECS: on a terminal the table is drawn again, elsewhere changes are printed, `+` who came and
    /// `-` who went, a line each
    #[arg(long, value_name = "SECS", num_args = 0..=1, default_missing_value = "1", conflicts_with = "json")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) watch: Option<u32>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Whose line
    #[arg(value_name = "NUMBER", value_parser = number)]
    pub(crate) number: AccountNumber,
    /// The line of this resource [default: the youngest]
    #[arg(long, value_name = "R")]
    pub(crate) resource: Option<String>,
    /// Go on until the line ends, not only for --seconds
    #[arg(long)]
    pub(crate) follow: bool,
    /// How long to watch
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "follow")]
    pub(crate) seconds: u64,
    /// Write what passes to this pcapng file too; the first 2048 octets of each packet
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) drawing: Drawing,
}

/// What `send` and `listen` need to get to the exchange.
#[derive(Debug, ClapArgs)]
pub(crate) struct Line {
    /// The number to log in with
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) account: AccountNumber,
    /// Where the exchange is [default: the domain, on the carrier's port]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) server: Option<Server>,
    /// The number's domain
    #[arg(long, value_name = "D", default_value = "localhost")]
    pub(crate) domain: String,
    /// How to get there
    #[arg(long, value_name = "CARRIER", default_value = "tcp", value_parser = over())]
    pub(crate) over: Over,
    /// Believe this certificate, or those that this authority signed, PEM; the data folder's is believed too
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// Believe any certificate: for trying things out
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Use this own address and port [default: the host chooses]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) bind: Option<SocketAddr>,
    /// How long an answer may take
    #[arg(long, value_name = "SECS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) timeout: u32,
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) password: Password,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Chat {
    #[command(flatten)]
    pub(crate) line: Line,
    /// Use no colour; NO_COLOR in the environment says so too
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Leave the mouse to the terminal, for selecting text
    #[arg(long)]
    pub(crate) no_mouse: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Send {
    #[command(flatten)]
    pub(crate) line: Line,
    /// To whom: a number, or an address for another domain or device
    #[arg(value_name = "TO")]
    pub(crate) to: String,
    /// The message
    #[arg(value_name = "TEXT")]
    pub(crate) text: String,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Listen {
    #[command(flatten)]
    pub(crate) line: Line,
    /// A JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// How a ladder is drawn, for every command that draws one.
#[derive(Debug, ClapArgs)]
pub(crate) struct Drawing {
    /// As what
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = drawing_format())]
    pub(crate) format: ladder::Format,
    /// Numbers as on the wire, not counted from the initial sequence numbers
    #[arg(long)]
    pub(crate) absolute: bool,
    /// Draw with plain ASCII
    #[arg(long)]
    pub(crate) ascii: bool,
    /// Columns, 72 to 132 [default: the terminal's, or 100]
    #[arg(long, value_name = "N")]
    pub(crate) width: Option<usize>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  switchboard ladder talk.pcapng               list the conversations of a capture
  switchboard ladder talk.pcapng --flow 3      draw the third
  tcpdump -w - -i eth0 | switchboard ladder - --flow 1
  switchboard ladder --live lo --filter 'tcp and port 5222' --flow 1 --follow")]
pub(crate) struct Ladder {
    /// A capture, pcap or pcapng; `-`: standard input
    #[arg(value_name = "FILE", required_unless_present = "live", conflicts_with = "live")]
    pub(crate) file: Option<PathBuf>,
    /// Look at an interface of this host instead; needs root or CAP_NET_RAW; Ctrl-C ends it
    #[arg(long, value_name = "IFACE")]
    pub(crate) live: Option<String>,
    /// Only packets that this wants, in tcpdump's words: tcp, udp, host, net, port, src, dst, and, or, not
    #[arg(long, value_name = "EXPR")]
    pub(crate) filter: Option<ladder::filter::Filter>,
    /// Draw this conversation of the list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) flow: Option<u64>,
    /// Go on while the file grows; without --flow, a line when a conversation begins and when it ends
    #[arg(long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) drawing: Drawing,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  switchboard lab                              list the scenarios
  switchboard lab handshake                    play one; exit code 1 if a check did not hold
  switchboard lab close --lang zh              the explanations in Chinese
  switchboard lab sack --pcap sack.pcapng      write what passed, for Wireshark
  switchboard lab --notes                      a page of notes about sockets, claim by claim")]
pub(crate) struct Lab {
    /// The scenario; `all`: one after the other
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Draws initial sequence numbers, ports and the link's chances; equal seeds play alike
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The language of explanations
    #[arg(long, value_name = "LANG", default_value = "en", value_parser = language())]
    pub(crate) lang: lab::Lang,
    /// Write what passed the client's interface as pcapng
    #[arg(long, value_name = "FILE", requires = "name")]
    pub(crate) pcap: Option<PathBuf>,
    /// Go through the claims of a page of notes about sockets, with the scenario that shows each
    #[arg(long, conflicts_with_all = ["name", "pcap"])]
    pub(crate) notes: bool,
    #[command(flatten)]
    pub(crate) drawing: Drawing,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Reports {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Only what is said of this number
    #[arg(long, value_name = "N", value_parser = number)]
    pub(crate) about: Option<AccountNumber>,
    /// If anything is said of it, disable it: its clients are cut off, and it cannot log in until `account enable`
    #[arg(long, requires = "about")]
    pub(crate) disable: bool,
    /// A JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The file holds the whole folder: accounts and their keys, rosters, messages, archives, profiles, invites, the certificate and key that were
made there, and its switchboard.toml. A certificate that `--cert` or the configuration names elsewhere is not in it.

To restore:
  mkdir -m 700 NEW && cp FILE NEW/switchboard.db && switchboard serve --data NEW")]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The file to make; it must not be there yet
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The file holds each account with its keys, roster, requests, block list, vCard, private XML, what it publishes, waiting messages and archive.
It does not hold tokens, invites, the certificate, or which numbers were given out once: `switchboard backup` does.")]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) data: Data,
    /// The file to make; it must not be there yet [default: standard output]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Files of XEP-0227; `-`: standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The domain whose accounts are wanted [default: the one the data folder remembers, or the first in the file]
    #[arg(long, value_name = "D")]
    pub(crate) domain: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CheckConfig {
    /// The file
    #[arg(value_name = "FILE", default_value = "./switchboard-data/switchboard.toml")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Completions {
    /// For which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Man {
    /// Write one page a command into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

fn number(text: &str) -> Result<AccountNumber, String> {
    AccountNumber::parse(text)
        .ok_or_else(|| "a number is 1 to 15 digits, without a leading zero or a sign".to_owned())
}

fn drawing_format() -> impl clap::builder::TypedValueParser<Value = ladder::Format> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(ladder::Format::ALL.map(|(name, _)| name)).map(|name| {
        let formats = ladder::Format::ALL;
        formats.into_iter().find(|(n, _)| *n == name).expect("only these are possible").1
    })
}

fn language() -> impl clap::builder::TypedValueParser<Value = lab::Lang> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(lab::Lang::ALL.map(|(name, _)| name)).map(|name| {
        let languages = lab::Lang::ALL;
        languages.into_iter().find(|(n, _)| *n == name).expect("only these are possible").1
    })
}

/// A span of time: a number and s, m, h or d.
fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a number and s, m, h or d, such as 12h, and not more than a year".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let span = Duration::from_secs(count.checked_mul(secs).ok_or_else(wrong)?);
    if span.is_zero() || span > server::invite::LIFE_MAX { Err(wrong()) } else { Ok(span) }
}

fn on_off() -> impl clap::builder::TypedValueParser<Value = bool> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(["on", "off"]).map(|word| word == "on")
}

fn over() -> impl clap::builder::TypedValueParser<Value = Over> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(Over::ALL.map(|(name, _)| name)).map(|name| {
        let (_, over) = Over::ALL.into_iter().find(|(n, _)| *n == name).expect("only these are possible");
        over
    })
}

#[cfg(test)]
mod tests;
