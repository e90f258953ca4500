//! Golden ladders: plays the conversations in `tests/ladders` with two connections and compares each segment and each state.
//!
//! The README beside them tells how they are written. A side is polled only where its ladder says that it sends, so the order
//! of what happens is the ladder's; at the end neither side may have anything left to send.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use switchboard_tcp::*;
use wire::tcp::Flags;

/// Of A and of B; both wrap within a conversation.
const ISS: [SeqNum; 2] = [SeqNum(u32::MAX), SeqNum(u32::MAX - 4)];
const MSS: u16 = 1000;

/// A segment under way, and the octets it carries.
type Sent = (SegmentOut, Vec<u8>);

/// One end.
struct Side {
    iss: SeqNum,
    config: TcpConfig,
    memory: Memory,
    listens: bool,
    half_open: Option<SynReceived>,
    connection: Option<Connection>,
    /// Answers that belong to no connection.
    answers: VecDeque<SegmentOut>,
}

impl Side {
    fn new(iss: SeqNum) -> Self {
        let config =
            TcpConfig { timestamps: false, sack: false, window_scaling: false, ..TcpConfig::default() };
        Side {
            iss,
            config,
            memory: Memory::new(1 << 20),
            listens: false,
            half_open: None,
            connection: None,
            answers: VecDeque::new(),
        }
    }

    fn opening(&self) -> Opening {
        Opening { iss: self.iss, ts_offset: 0, mss: MSS, path_mss: MSS }
    }

    fn state(&self) -> String {
        match (&self.connection, &self.half_open) {
            (Some(connection), _) => connection.state().to_string(),
            (None, Some(_)) => "SYN-RECEIVED".to_owned(),
            (None, None) if self.listens => "LISTEN".to_owned(),
            (None, None) => "CLOSED".to_owned(),
        }
    }

    /// Runs `act` on the connection with its surroundings.
    fn with<R>(&mut self, now: Instant, act: impl FnOnce(&mut Connection, &mut Ctx<'_>) -> R) -> Option<R> {
        let mut ctx = Ctx::new(now, &self.config, &mut self.memory);
        self.connection.as_mut().map(|connection| act(connection, &mut ctx))
    }

    /// The next segment that it wants to send.
    fn poll(&mut self, now: Instant) -> Option<Sent> {
        if let Some(answer) = self.answers.pop_front() {
            return Some((answer, Vec::new()));
        }
        self.with(now, |connection, ctx| {
            let segment = connection.poll_segment(ctx)?;
            let mut text = vec![0; segment.text_len as usize];
            connection.payload(&segment).copy_to(&mut text);
            Some((segment, text))
        })?
    }

    fn hear(&mut self, now: Instant, sent: &Sent) {
        let segment = sent.0.as_arriving(&sent.1);
        if self.connection.is_some() {
            let heard = self.with(now, |connection, ctx| connection.handle_segment(ctx, &segment));
            if let Some(Disposition::Answer(_, answer)) = heard {
                self.answers.push_back(answer);
            }
        } else if let Some(mut entry) = self.half_open.take() {
            match entry.handle_segment(now, &self.config, &segment) {
                SynDisposition::Complete => {
                    let mut ctx = Ctx::new(now, &self.config, &mut self.memory);
                    self.connection = Some(entry.into_connection(&mut ctx, Arc::default(), &segment));
                    self.hear(now, sent);
                    return;
                }
                SynDisposition::Answer(answer) => self.answers.push_back(answer),
                SynDisposition::Reset => return,
                SynDisposition::Dropped(_) => {}
            }
            self.half_open = Some(entry);
        } else if self.listens && listen(&segment) == ListenDisposition::Open {
            let settings = Settings::default();
            let entry = SynReceived::new(now, &self.config, &settings, &self.opening(), &segment);
            self.answers.push_back(entry.syn_ack(now));
            self.half_open = Some(entry);
        } else {
            self.answers.extend(make_reset(&segment));
        }
    }

    fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let entry = self.half_open.as_ref().map(|entry| entry.deadline(now));
        self.with(now, |connection, ctx| connection.next_deadline(ctx)).unwrap_or(entry)
    }

    fn handle_timer(&mut self, now: Instant) {
        self.with(now, |connection, ctx| connection.handle_timer(ctx));
        if let Some(entry) = &mut self.half_open
            && let SynTimeout::Resend(answer) = entry.handle_timer(now, &self.config)
        {
            self.answers.push_back(answer);
        }
    }

    /// What its program does.
    fn call(&mut self, now: Instant, call: &[&str]) {
        let count = call.get(1).map_or(0, |count| count.parse().expect("a number"));
        match call[0] {
            "connect" => {
                let opening = self.opening();
                let mut ctx = Ctx::new(now, &self.config, &mut self.memory);
                self.connection = Some(Connection::connect(&mut ctx, Arc::default(), &opening));
            }
            "send" => {
                let text = vec![7; count];
                let taken = self.with(now, |conn, ctx| conn.send(ctx, &text, SendFlags::default()));
                assert_eq!(taken, Some(Ok(count)));
            }
            "read" => {
                let mut text = vec![0; count + 1];
                let taken = self.with(now, |conn, ctx| conn.recv(ctx, &mut text));
                assert_eq!(taken, Some(Ok(count)));
            }
            "shutdown" => assert!(self.with(now, |conn, ctx| conn.shutdown_write(ctx)).is_some()),
            "close" => assert!(self.with(now, |conn, ctx| conn.close(ctx)).is_some()),
            other => panic!("no program does {other:?}"),
        }
    }
}

/// A segment as the ladders write it, by sender.
fn written(from: usize, segment: &SegmentOut) -> String {
    let names = [
        (Flags::SYN, "SYN"),
        (Flags::FIN, "FIN"),
        (Flags::RST, "RST"),
        (Flags::PSH, "PSH"),
        (Flags::ACK, "ACK"),
    ];
    let flags: Vec<_> =
        names.iter().filter(|(flag, _)| segment.flags.contains(*flag)).map(|(_, name)| *name).collect();
    let mut line = format!("<SEQ={}>", segment.seq.distance(ISS[from]));
    if segment.flags.ack() {
        line += &format!("<ACK={}>", segment.ack.distance(ISS[1 - from]));
    }
    line += &format!("<CTL={}>", flags.join(","));
    if segment.text_len > 0 {
        line += &format!("<TEXT={}>", segment.text_len);
    }
    line
}

/// Two ends, the cable, the clock.
struct Play {
    now: Instant,
    sides: [Side; 2],
    under_way: [VecDeque<Sent>; 2],
}

impl Play {
    /// From where the first line says both are.
    fn begin(states: &[&str]) -> Self {
        let mut play =
            Play { now: Instant::from_secs(1_000), sides: ISS.map(Side::new), under_way: Default::default() };
        match states {
            ["CLOSED", "CLOSED"] => {}
            ["CLOSED", "LISTEN"] => play.sides[1].listens = true,
            ["ESTABLISHED", "ESTABLISHED"] => {
                play.sides[1].listens = true;
                play.sides[0].call(play.now, &["connect"]);
                for from in [0, 1, 0] {
                    let segment = play.sends(from);
                    play.sides[1 - from].hear(play.now, &segment);
                }
            }
            other => panic!("a ladder cannot begin in {other:?}"),
        }
        play.is_in(states);
        play
    }

    fn sends(&mut self, from: usize) -> Sent {
        self.sides[from].poll(self.now).expect("a segment leaves")
    }

    fn is_in(&self, states: &[&str]) {
        assert_eq!([self.sides[0].state(), self.sides[1].state()], states);
    }

    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["A:", ref call @ ..] => self.sides[0].call(self.now, call),
            ["B:", ref call @ ..] => self.sides[1].call(self.now, call),
            ["time", "passes"] => self.wait(),
            [a, "-->", segment, "-->", b] => self.passes(0, segment, [a, b]),
            [a, "<--", segment, "<--", b] => self.passes(1, segment, [a, b]),
            [a, "-->", segment, "..."] => self.leaves(0, segment, a, false),
            ["...", segment, "<--", b] => self.leaves(1, segment, b, false),
            [a, "-->", segment, "X"] => self.leaves(0, segment, a, true),
            ["X", segment, "<--", b] => self.leaves(1, segment, b, true),
            ["...", segment, "-->", b] => self.arrives(0, segment, b),
            [a, "<--", segment, "..."] => self.arrives(1, segment, a),
            [a, b] => self.is_in(&[a, b]),
            _ => panic!("nobody reads this line"),
        }
    }

    fn passes(&mut self, from: usize, segment: &str, states: [&str; 2]) {
        let sent = self.sends(from);
        assert_eq!(written(from, &sent.0), segment);
        self.sides[1 - from].hear(self.now, &sent);
        self.is_in(&states);
    }

    fn leaves(&mut self, from: usize, segment: &str, state: &str, lost: bool) {
        let sent = self.sends(from);
        assert_eq!(written(from, &sent.0), segment);
        assert_eq!(self.sides[from].state(), state);
        if !lost {
            self.under_way[from].push_back(sent);
        }
    }

    fn arrives(&mut self, from: usize, segment: &str, state: &str) {
        let sent = self.under_way[from].pop_front().expect("something is under way");
        assert_eq!(written(from, &sent.0), segment);
        self.sides[1 - from].hear(self.now, &sent);
        assert_eq!(self.sides[1 - from].state(), state);
    }

    /// The next timer is over.
    fn wait(&mut self) {
        self.is_quiet();
        let now = self.now;
        let next = self.sides.iter_mut().filter_map(|side| side.deadline(now)).min();
        self.now = next.expect("some timer runs").max(now);
        self.sides.iter_mut().for_each(|side| side.handle_timer(now.max(next.unwrap_or(now))));
    }

    /// Nobody has anything to send, now.
    fn is_quiet(&mut self) {
        for from in [0, 1] {
            let more = self.sides[from].poll(self.now).map(|sent| written(from, &sent.0));
            assert_eq!(more, None, "a segment that the ladder does not have");
        }
    }
}

fn play(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ladders").join(name);
    let text = std::fs::read_to_string(&path).expect("the ladder is there");
    let mut lines =
        text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let (_, first) = lines.next().expect("a first line");
    let mut play = Play::begin(&first.split_whitespace().collect::<Vec<_>>());
    for (number, line) in lines {
        println!("{name}:{}: {line}", number + 1);
        play.line(line);
    }
    play.is_quiet();
    assert!(play.under_way.iter().all(VecDeque::is_empty), "something is still under way");
}

macro_rules! ladders {
    ($($test:ident: $file:literal,)*) => {
        $(#[test] fn $test() { play($file); })*

        #[test]
        fn every_ladder_is_played() {
            let played = [$($file),*];
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/ladders");
            for entry in std::fs::read_dir(folder).expect("the folder is there") {
                let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
                assert!(!name.ends_with(".txt") || played.contains(&name.as_str()), "{name}");
            }
        }
    };
}

ladders! {
    open: "open.txt",
    open_simultaneous: "open-simultaneous.txt",
    open_lost_syn_ack: "open-lost-syn-ack.txt",
    close_four: "close-four.txt",
    close_three: "close-three.txt",
    close_half: "close-half.txt",
    close_simultaneous: "close-simultaneous.txt",
    close_lost_fin: "close-lost-fin.txt",
    close_lost_last_ack: "close-lost-last-ack.txt",
}
