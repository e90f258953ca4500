//! Log-in: opens a stream over clear TCP, proves a password with SCRAM-SHA-1, binds, sends presence. Blocking.
//! Spec: RFC 6120 sections 4, 6, 7; RFC 5802.
//! Owns: a cache of salted passwords, so that the load's own PBKDF2 is paid once an account, not once a log-in.
//! Not here: what is said once logged in (`connection`), our own client (`switchboard-client`): a load that shared code
//! with one side would flatter it, so this one is the same for every side and does the least that XMPP asks.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};

/// Longest that one step of a log-in may take before the run is given up.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Who logs in, and where.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) domain: String,
}

/// What a log-in may ask for beyond the least.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) presence: bool,
    pub(crate) stream_management: bool,
}

/// Salted passwords by account and salt.
#[derive(Default)]
pub(crate) struct SaltedPasswords {
    known: HashMap<(String, Vec<u8>, u32), [u8; 20]>,
}

impl SaltedPasswords {
    fn get(&mut self, password: &str, salt: &[u8], iterations: u32) -> [u8; 20] {
        *self.known.entry((password.to_owned(), salt.to_vec(), iterations)).or_insert_with(|| {
            let mut key = [0; 20];
            pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, iterations, &mut key);
            key
        })
    }
}

/// Logs in and returns the socket, still blocking, with nothing unread but what the server sends by itself.
pub(crate) fn log_in(
    address: SocketAddr,
    account: &Account,
    wishes: Wishes,
    salted: &mut SaltedPasswords,
) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(STEP_TIMEOUT))?;
    let mut talk = Talk { socket, unread: Vec::new() };
    talk.open(&account.domain)?;
    talk.authenticate(account, salted)?;
    talk.open(&account.domain)?;
    talk.write("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")?;
    talk.until("</iq>")?;
    if wishes.stream_management {
        talk.write("<enable xmlns='urn:xmpp:sm:3'/>")?;
        talk.until("<enabled")?;
    }
    if wishes.presence {
        // The server's answer to a ping sent behind the presence shows that the presence has been taken in.
        talk.write("<presence/><iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")?;
        talk.until_any(&["id='p'", "id=\"p\""])?;
    }
    Ok(talk.socket)
}

struct Talk {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Talk {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.socket.write_all(text.as_bytes())
    }

    /// Reads until `mark` has come, and returns everything up to its end.
    fn until(&mut self, mark: &str) -> io::Result<String> {
        self.until_any(&[mark])
    }

    fn until_any(&mut self, marks: &[&str]) -> io::Result<String> {
        loop {
            let text = String::from_utf8_lossy(&self.unread).into_owned();
            if let Some(end) = marks.iter().find_map(|mark| text.find(mark).map(|at| at + mark.len())) {
                let end = text[end..].find('>').map_or(end, |more| end + more + 1);
                self.unread.drain(..end.min(self.unread.len()));
                return Ok(text[..end].to_owned());
            }
            if text.contains("<failure") || text.contains("stream:error") {
                return Err(io::Error::other(format!("the server refused: {text}")));
            }
            let mut buffer = [0; 4096];
            match self.socket.read(&mut buffer)? {
                0 => return Err(io::Error::other(format!("the server closed the stream after: {text}"))),
                n => self.unread.extend_from_slice(&buffer[..n]),
            }
        }
    }

    fn open(&mut self, domain: &str) -> io::Result<()> {
        self.unread.clear();
        self.write(&format!(
            "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        ))?;
        self.until("</stream:features").map(|_| ())
    }

    // RFC 5802 section 3.
    fn authenticate(&mut self, account: &Account, salted: &mut SaltedPasswords) -> io::Result<()> {
        let bare = format!("n={},r=switchboardbench{:08x}", account.name, std::process::id());
        let first = BASE64.encode(format!("n,,{bare}"));
        self.write(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{first}</auth>"
        ))?;
        let challenge = decode(&self.until("</challenge")?)?;
        let mut nonce = "";
        let mut salt = Vec::new();
        let mut iterations = 0;
        for part in challenge.split(',') {
            match part.split_once('=') {
                Some(("r", value)) => nonce = value,
                Some(("s", value)) => salt = BASE64.decode(value).map_err(io::Error::other)?,
                Some(("i", value)) => iterations = value.parse().map_err(io::Error::other)?,
                _ => {}
            }
        }
        let salted_password = salted.get(&account.password, &salt, iterations);
        let client_key = hmac(&salted_password, b"Client Key");
        let stored_key = Sha1::digest(client_key);
        let without_proof = format!("c=biws,r={nonce}");
        let signature = hmac(&stored_key, format!("{bare},{challenge},{without_proof}").as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, sign)| key ^ sign).collect();
        let last = BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof)));
        self.write(&format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{last}</response>"))?;
        self.until("<success").map(|_| ())
    }
}

fn decode(element: &str) -> io::Result<String> {
    let text = element.rsplit_once("</").map_or(element, |(before, _)| before);
    let text = text.rsplit('>').next().unwrap_or_default();
    let bytes = BASE64.decode(text.trim()).map_err(io::Error::other)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}
