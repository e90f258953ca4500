//! Runs the binary: commands that end, and those that stay.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// No process of a test takes longer. Generous: the machine may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const PASSWORD: &str = "correct horse battery";

/// What a command said, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command with the password of every test in its environment.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.args(args).env("SWITCHBOARD_PASSWORD", PASSWORD).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Said {
    finish(command(args))
}

pub(crate) fn finish(mut command: Command) -> Said {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary is there");
    wait(child)
}

pub(crate) fn wait(child: Child) -> Said {
    let pid = Pid::from_child(&child);
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(LIMIT) else {
        let _ = kill_process(pid, Signal::KILL);
        panic!("a command did not end within {LIMIT:?}");
    };
    let Output { status, stdout, stderr } = output.expect("a child can be waited for");
    let text = |bytes| String::from_utf8(bytes).expect("what is printed is UTF-8");
    Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

impl Said {
    /// It ended well; what it printed.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// It failed with this code and one line on standard error; that line.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err
    }
}

/// A process that stays until it is told to go, or until this is dropped.
pub(crate) struct Staying {
    child: Child,
    pub(crate) lines: std::io::Lines<BufReader<ChildStdout>>,
    err: Option<ChildStderr>,
}

impl Staying {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(command(args))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary is there");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let err = child.stderr.take();
        // Whatever happens, no read of a test waits longer than this.
        let pid = Pid::from_child(&child);
        let start = start_time(pid);
        std::thread::spawn(move || {
            std::thread::sleep(LIMIT * 2);
            if start_time(pid) == start {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Self { child, lines, err }
    }

    /// The next line that it prints.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        match self.lines.next() {
            Some(line) => line.expect("what is printed is UTF-8"),
            None => panic!("it ended: {}", self.rest_of_err()),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it lives");
    }

    /// Whoever read its log has gone away.
    pub(crate) fn nobody_reads_the_log(&mut self) {
        self.err = None;
    }

    /// Its exit code, and what it said on standard error.
    pub(crate) fn end(mut self) -> (i32, String) {
        let err = self.rest_of_err();
        let code = self.child.wait().expect("a child can be waited for").code().unwrap_or(-1);
        (code, err)
    }

    fn rest_of_err(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut err) = self.err.take() {
            let _ = err.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When a process began, so that a later one with its id is left alone.
fn start_time(pid: Pid) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19).map(str::to_owned)
}

/// An exchange of the test's own.
pub(crate) struct Exchange {
    pub(crate) process: Staying,
    data: PathBuf,
    ready: String,
    _outside: Option<tempfile::TempDir>,
}

impl Exchange {
    /// In a new folder.
    pub(crate) fn start() -> Self {
        let outside = tempfile::tempdir().expect("a folder for the test");
        let mut exchange = Self::start_in(&outside.path().join("data"), &[]);
        exchange._outside = Some(outside);
        exchange
    }

    pub(crate) fn start_in(data: &Path, more: &[&str]) -> Self {
        let data_text = data.to_str().expect("a plain path");
        let mut args = vec!["serve", "--data", data_text];
        for flag in ["--tcp", "--tls", "--quic", "--http", "--https"] {
            if !more.contains(&flag) {
                args.extend([flag, "127.0.0.1:0"]);
            }
        }
        args.extend(more);
        let mut process = Staying::start(&args);
        let ready = loop {
            let line = process.line();
            if line.starts_with("ready ") {
                break line;
            }
        };
        Self { process, data: data.to_owned(), ready, _outside: None }
    }

    pub(crate) fn ready(&self) -> &str {
        &self.ready
    }

    pub(crate) fn data(&self) -> &str {
        self.data.to_str().expect("a plain path")
    }

    /// Where a carrier is.
    pub(crate) fn address(&self, over: &str) -> String {
        let listener = match over {
            "ws" => "http",
            "wss" => "https",
            over => over,
        };
        let mut words = self.ready.split(' ').filter_map(|word| word.split_once('='));
        words.find(|(name, _)| *name == listener).expect("the carrier is on").1.to_owned()
    }

    /// A new account's number.
    pub(crate) fn account(&self) -> String {
        run(&["account", "create", "--data", self.data()]).done().trim().to_owned()
    }

    /// The arguments that get a number to this exchange.
    pub(crate) fn line<'a>(&'a self, over: &'a str, number: &'a str, address: &'a str) -> Vec<&'a str> {
        vec!["--data", self.data(), "--over", over, "--server", address, "--account", number]
    }

    pub(crate) fn send(&self, over: &str, from: &str, to: &str, text: &str) -> Said {
        let address = self.address(over);
        let mut args = vec!["send"];
        args.extend(self.line(over, from, &address));
        args.extend([to, text]);
        run(&args)
    }

    /// Takes so many messages and ends.
    pub(crate) fn listen(&self, over: &str, number: &str, count: usize) -> Said {
        let (address, count) = (self.address(over), count.to_string());
        let mut args = vec!["listen", "--json", "--count", &count];
        args.extend(self.line(over, number, &address));
        run(&args)
    }

    /// Listens until it is told to go.
    pub(crate) fn keep_listening(&self, over: &str, number: &str) -> Staying {
        let address = self.address(over);
        let mut args = vec!["listen"];
        args.extend(self.line(over, number, &address));
        Staying::start(&args)
    }

    /// Told to leave, it leaves well.
    pub(crate) fn stop(self) {
        self.process.signal(Signal::TERM);
        let (code, err) = self.process.end();
        assert_eq!(code, 0, "{err}");
    }
}

/// The texts of messages that were printed as JSON.
pub(crate) fn bodies(printed: &str) -> Vec<String> {
    let body = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        json["body"].as_str().expect("a text").to_owned()
    };
    printed.lines().map(body).collect()
}
