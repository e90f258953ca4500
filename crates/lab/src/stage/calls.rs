//! The calls of programs, as a scenario writes them: each is made on the real stack, and drawn.
//! Owns: the words of calls. Invariants: what a call answered is what the ladder says.
//! Not here: time (`stage`).

use super::{A, B, Stage, address};
use ladder::state::State;
use sim::link::End;
use stack::TcpHandle;
use stack::socket::error::{BindError, ConnectError, RecvError, SendError};
use stack::socket::options::TcpOption;
use std::net::{Shutdown, SocketAddr};
use tcp::SendFlags;

/// The port that servers listen on.
pub const PORT: u16 = 5222;

/// What a read came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// These octets.
    Bytes(Vec<u8>),
    /// The end of the stream: zero octets.
    End,
    /// Nothing for now.
    Nothing,
    /// The connection failed.
    Failed(std::io::ErrorKind),
}

impl Stage {
    /// The server's address and port.
    #[must_use]
    pub fn server_addr(&self) -> SocketAddr {
        SocketAddr::new(address(B), PORT)
    }

    /// A server listens, with SO_REUSEADDR, as servers do.
    pub fn listen(&mut self, end: End) -> TcpHandle {
        let addr = SocketAddr::new(address(end), PORT);
        let now = self.now;
        let listener = self.stacks[end.index()].tcp_listener(now, addr, 128).expect("the port is free");
        self.listening[end.index()] = true;
        self.told[end.index()] = State::Listen;
        listener
    }

    /// A program binds a socket to a port; `reuse`: with SO_REUSEADDR.
    pub fn bind(&mut self, end: End, port: u16, reuse: bool) -> (TcpHandle, Result<SocketAddr, BindError>) {
        let now = self.now;
        let stack = &mut self.stacks[end.index()];
        let socket = stack.tcp_socket().expect("there is room for a socket");
        if reuse {
            stack.tcp_set_option(now, socket, TcpOption::ReuseAddress(true)).expect("the socket is fresh");
        }
        let bound = stack.tcp_bind(socket, SocketAddr::new(address(end), port));
        let option = if reuse { "SO_REUSEADDR, " } else { "" };
        let said = match &bound {
            Ok(addr) => format!("{option}bind({addr}): ok"),
            Err(error) => format!("{option}bind(:{port}): {:?}", error.kind()),
        };
        self.event(end, said);
        (socket, bound)
    }

    /// A socket that is bound listens.
    pub fn listen_on(&mut self, end: End, socket: TcpHandle) {
        self.stacks[end.index()].tcp_listen(socket, 128).expect("a bound socket can listen");
        self.listening[end.index()] = true;
        self.told[end.index()] = State::Listen;
    }

    /// A socket that was never connected is closed, without a word.
    pub fn drop_socket(&mut self, end: End, socket: TcpHandle) {
        let now = self.now;
        self.stacks[end.index()].tcp_close(now, socket).expect("the socket is there");
    }

    /// The client connects from any port, and its conversation is watched.
    pub fn connect(&mut self) -> TcpHandle {
        let socket = self.stacks[0].tcp_socket().expect("there is room for a socket");
        self.connect_socket(socket).expect("the server's address can be reached");
        socket
    }

    /// A socket that may be bound connects, and its conversation is watched.
    ///
    /// # Errors
    /// As connect() has them.
    pub fn connect_socket(&mut self, socket: TcpHandle) -> Result<(), ConnectError> {
        let remote = self.server_addr();
        let now = self.now;
        let done = self.stacks[0].tcp_connect(now, socket, remote);
        match &done {
            Ok(()) => {
                let local =
                    self.stacks[0].tcp_local_addr(socket).expect("a connecting socket has an address");
                let is_first = self.act.hosts.names[0].is_empty();
                self.watch(local, remote);
                if is_first {
                    // Its state before the call.
                    self.act.hosts.states[0] = Some(State::Closed);
                    self.told[0] = State::Closed;
                }
                self.event(A, format!("connect({remote})"));
            }
            Err(error) => self.event(A, format!("connect({remote}): {:?}", error.kind())),
        }
        done
    }

    /// The server takes the connection that waits.
    pub fn accept(&mut self, listener: TcpHandle) -> TcpHandle {
        self.try_accept(listener).expect("a connection waits")
    }

    /// The server takes the connection that waits, if one does.
    pub fn try_accept(&mut self, listener: TcpHandle) -> Option<TcpHandle> {
        let (socket, _) = self.stacks[1].tcp_accept(listener).ok()?;
        Some(socket)
    }

    /// Opens a connection to a server that listens: client, server, listener. Nothing of it is explained.
    pub fn open(&mut self) -> (TcpHandle, TcpHandle, TcpHandle) {
        let listener = self.listen(B);
        let client = self.connect();
        self.run_until_arrived();
        let server = self.accept(listener);
        (client, server, listener)
    }

    /// A program sends; what the call answered.
    ///
    /// # Errors
    /// As send() has them.
    pub fn send(&mut self, end: End, socket: TcpHandle, data: &[u8]) -> Result<usize, SendError> {
        let now = self.now;
        let done = self.stacks[end.index()].tcp_send(now, socket, data, SendFlags::default());
        let what = match &done {
            Ok(taken) if *taken == data.len() => format!("send({})", bytes(*taken)),
            Ok(taken) => format!("send({}) = {taken}", bytes(data.len())),
            Err(error) => format!("send({}): {:?}", bytes(data.len()), error.kind()),
        };
        self.event(end, what);
        done
    }

    /// A program reads all there is.
    pub fn recv(&mut self, end: End, socket: TcpHandle) -> Read {
        let got = self.recv_quietly(end, socket);
        let what = match &got {
            Read::Bytes(got) => format!("recv() = {}", bytes(got.len())),
            Read::End => self.lang.pick("recv() = 0: the end of the stream", "recv() = 0：流结束").to_owned(),
            Read::Nothing => "recv(): WouldBlock".to_owned(),
            Read::Failed(why) => format!("recv(): {why:?}"),
        };
        self.event(end, what);
        got
    }

    /// The same without a word in the ladder.
    pub fn recv_quietly(&mut self, end: End, socket: TcpHandle) -> Read {
        let now = self.now;
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 65_536];
        loop {
            match self.stacks[end.index()].tcp_recv(now, socket, &mut buffer) {
                Ok(0) if bytes.is_empty() => return Read::End,
                Ok(0) => return Read::Bytes(bytes),
                Ok(len) => bytes.extend(&buffer[..len]),
                Err(RecvError::WouldBlock) if bytes.is_empty() => return Read::Nothing,
                Err(RecvError::WouldBlock) => return Read::Bytes(bytes),
                Err(error) if bytes.is_empty() => return Read::Failed(error.kind()),
                Err(_) => return Read::Bytes(bytes),
            }
        }
    }

    /// A program says that it will send no more, and goes on reading.
    pub fn shutdown(&mut self, end: End, socket: TcpHandle) {
        let now = self.now;
        self.stacks[end.index()].tcp_shutdown(now, socket, Shutdown::Write).expect("the socket is open");
        self.event(end, "shutdown(Write)");
    }

    /// A program closes: both directions.
    pub fn close(&mut self, end: End, socket: TcpHandle) {
        let now = self.now;
        self.stacks[end.index()].tcp_close(now, socket).expect("the socket is open");
        self.event(end, "close()");
    }

    /// A program stops listening.
    pub fn close_listener(&mut self, end: End, listener: TcpHandle) {
        let now = self.now;
        self.stacks[end.index()].tcp_close(now, listener).expect("the listener is there");
        self.listening[end.index()] = false;
    }

    /// A program throws the connection away.
    pub fn abort(&mut self, end: End, socket: TcpHandle) {
        let now = self.now;
        self.stacks[end.index()].tcp_abort(now, socket).expect("the socket is open");
        self.event(end, "abort()");
    }

    /// Sets a socket option.
    pub fn set(&mut self, end: End, socket: TcpHandle, option: TcpOption) {
        let now = self.now;
        self.stacks[end.index()].tcp_set_option(now, socket, option).expect("the socket takes the option");
    }
}

fn bytes(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}
