//! A sequence of segments, calls and time against one connection whose invariants are looked after at every step
//! (`tcp::invariants`, debug assertions on): whatever the peer says and the program does, nothing panics, buffers stay
//! inside the budget, output comes to an end, timers move on, and all memory comes back.
//!
//! The first two octets choose how it opens and what was agreed; then a step is an octet and what it needs. Sequence
//! numbers are drawn near what the connection expects, so that the steps reach beyond the window test.

#![no_main]

use std::sync::Arc;
use std::time::Duration;

use tcp::{
    Connection, Ctx, Instant, Linger, Memory, Opening, Segment, SendFlags, SeqNum, Settings, State,
    SynDisposition, SynReceived, TcpConfig, Unreachable,
};
use wire::tcp::{Flags, SackBlock, TcpOptions, Timestamps};

/// Our ISN lies just before the wrap.
const ISS: SeqNum = SeqNum(u32::MAX - 3_000);
const IRS: SeqNum = SeqNum(500_000);
const MSS: u16 = 1_000;
const BUDGET: usize = 256 << 10;
/// Segments that may leave before the next input: more than the budget holds at the least MSS.
const SEGMENTS_MAX: usize = 10_000;

/// What is left of the input.
struct Tape<'a>(&'a [u8]);

impl Tape<'_> {
    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// Zero where the tape has ended.
    fn any(&mut self) -> u8 {
        self.octet().unwrap_or(0)
    }

    fn wide(&mut self) -> u16 {
        u16::from_le_bytes([self.any(), self.any()])
    }
}

struct World {
    now: Instant,
    config: TcpConfig,
    memory: Memory,
    conn: Connection,
    tso_max: u32,
    /// SND.NXT and RCV.NXT as the segments that left tell them.
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    /// The latest timestamp that we sent.
    tsval: u32,
    text: Vec<u8>,
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut tape = Tape(data);
    let Some(mut world) = World::open(&mut tape) else { return };
    world.drain();
    while let Some(step) = tape.octet() {
        world.step(step, &mut tape);
        world.drain();
    }
    world.end();
});

impl World {
    fn open(tape: &mut Tape<'_>) -> Option<World> {
        let (how, agreed) = (tape.octet()?, tape.octet()?);
        let config = TcpConfig {
            timestamps: how & 1 == 0,
            sack: how & 2 == 0,
            window_scaling: how & 4 == 0,
            quick_acks: if how & 8 == 0 { 16 } else { 0 },
            receive_buffer_max: 128 << 10,
            ..TcpConfig::default()
        };
        let settings = Settings {
            nodelay: how & 16 != 0,
            keepalive: how & 32 != 0,
            receive_buffer: (how & 64 != 0).then_some(4_000),
            congestion: if agreed & 0x80 == 0 {
                tcp::CongestionKind::Cubic
            } else {
                tcp::CongestionKind::Reno
            },
            user_timeout: (agreed & 0x40 != 0).then_some(Duration::from_secs(20)),
            ..Settings::default()
        };
        let settings = Arc::new(settings);
        let opening = Opening { iss: ISS, ts_offset: 77, mss: MSS, path_mss: MSS };
        let mut memory = Memory::new(BUDGET);
        let now = Instant::from_secs(1);
        let conn = if how & 128 == 0 {
            Connection::connect(&mut Ctx::new(now, &config, &mut memory), settings, &opening)
        } else {
            let options = TcpOptions {
                mss: Some(if agreed & 1 == 0 { MSS } else { 1 }),
                window_scale: (agreed & 2 == 0).then_some(agreed >> 2 & 15),
                sack_permitted: agreed & 8 == 0,
                timestamps: (agreed & 16 == 0).then_some(Timestamps { tsval: 1, tsecr: 0 }),
                ..TcpOptions::NONE
            };
            let syn = Segment { options, ..bare(Flags::SYN, IRS, SeqNum(0)) };
            let mut half_open = SynReceived::new(now, &config, &settings, &opening, &syn);
            let stamp = half_open.syn_ack(now).options.timestamps;
            let timestamps = stamp.map(|stamp| Timestamps { tsval: 2, tsecr: stamp.tsval });
            let options = TcpOptions { timestamps, ..TcpOptions::NONE };
            let ack = Segment { options, ..bare(Flags::ACK, IRS + 1, ISS + 1) };
            let verdict = half_open.handle_segment(now, &config, &ack);
            assert_eq!(verdict, SynDisposition::Complete);
            let mut ctx = Ctx::new(now, &config, &mut memory);
            let mut conn = half_open.into_connection(&mut ctx, settings, &ack);
            conn.handle_segment(&mut ctx, &ack);
            conn
        };
        let (snd_nxt, rcv_nxt) = (ISS + 1, IRS + u32::from(how & 128 != 0));
        let text = (0..70_000u32).map(|at| at as u8).collect();
        Some(World { now, config, memory, conn, tso_max: 0, snd_nxt, rcv_nxt, tsval: 0, text })
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut Connection, &mut Ctx<'_>) -> R) -> R {
        let (config, tso_max) = (&self.config, self.tso_max);
        let mut ctx = Ctx { tso_max, ..Ctx::new(self.now, config, &mut self.memory) };
        call(&mut self.conn, &mut ctx)
    }

    fn step(&mut self, step: u8, tape: &mut Tape<'_>) {
        match step & 15 {
            // What an honest peer would say, often enough that lives become long.
            0 | 1 => self.arrives(Flags::ACK, 0, 0, usize::from(step >> 4) * 100, u16::MAX, TcpOptions::NONE),
            2..=6 => self.segment(step, tape),
            7 | 8 => {
                let len = usize::from(tape.wide());
                let flags = SendFlags {
                    more: step & 16 != 0,
                    end_of_record: step & 32 != 0,
                    urgent: step & 0xc0 == 0xc0,
                };
                let text = std::mem::take(&mut self.text);
                if let Ok(taken) = self.with(|conn, ctx| conn.send(ctx, &text[..len], flags)) {
                    assert!(taken <= len);
                }
                self.text = text;
            }
            9 | 10 => {
                let mut buffer = vec![0; usize::from(tape.wide())];
                let readable = self.conn.readable();
                if let Ok(taken) = self.with(|conn, ctx| conn.recv(ctx, &mut buffer)) {
                    assert!(taken <= readable && taken <= buffer.len());
                }
            }
            11 => self.now += Duration::from_millis(u64::from(tape.any()) * u64::from(step >> 4) * 17),
            // Straight to the next deadline.
            12 => {
                if let Some(due) = self.with(|conn, ctx| conn.next_deadline(ctx)) {
                    self.now = self.now.max(due);
                }
            }
            13 => match step >> 4 & 7 {
                0 => self.with(Connection::shutdown_write),
                1 => self.with(Connection::shutdown_read),
                2 => self.with(Connection::close),
                3 => self.with(Connection::abort),
                4 => drop(self.with(Connection::take_time_wait)),
                _ => self.set_option(tape),
            },
            14 => {
                let quoted =
                    (step & 16 == 0).then_some(self.snd_nxt + u32::from(tape.any()).wrapping_sub(128));
                let what = if step & 32 == 0 { Unreachable::Host } else { Unreachable::Port };
                self.with(|conn, ctx| conn.handle_unreachable(ctx, what, quoted));
            }
            _ => {
                let quoted =
                    (step & 16 == 0).then_some(self.snd_nxt + u32::from(tape.any()).wrapping_sub(128));
                let mss = tape.wide();
                self.with(|conn, ctx| conn.handle_path(ctx, mss, quoted));
                self.tso_max = if step & 32 == 0 { 0 } else { 65_000 };
            }
        }
        if self.with(|conn, ctx| conn.next_deadline(ctx)).is_some_and(|due| due <= self.now) {
            self.with(Connection::handle_timer);
        }
    }

    fn set_option(&mut self, tape: &mut Tape<'_>) {
        let (which, value) = (tape.any(), tape.wide());
        self.with(|conn, ctx| {
            conn.set_option(ctx, |settings| match which & 7 {
                0 => settings.nodelay = value & 1 == 0,
                1 => settings.cork = value & 1 == 0,
                2 => settings.keepalive = value & 1 == 0,
                3 => settings.receive_buffer = Some(u32::from(value)),
                4 => settings.send_buffer = Some(u32::from(value)),
                5 => settings.receive_low_water = u32::from(value),
                6 => settings.not_sent_low_water = u32::from(value),
                _ => settings.linger = if value & 1 == 0 { Linger::Abort } else { Linger::Background },
            });
        });
    }

    /// Anything a peer, or somebody who claims to be it, could say.
    fn segment(&mut self, step: u8, tape: &mut Tape<'_>) {
        let flags = Flags::from_bits(u16::from(tape.any()));
        // Two octets, signed, in steps that reach past the window at the coarser scale.
        let near = |raw: u16, coarse: bool| i32::from(raw as i16) * if coarse { 64 } else { 1 };
        let (seq, ack) = (near(tape.wide(), step & 16 != 0), near(tape.wide(), step & 32 != 0));
        let len = usize::from(tape.any()) * if step & 64 == 0 { 1 } else { 250 };
        let wnd = tape.wide();
        let mut options = TcpOptions::NONE;
        if step & 128 != 0 {
            let which = tape.any();
            if which & 1 != 0 {
                options.timestamps = Some(Timestamps {
                    tsval: 2u32.wrapping_add(u32::from(tape.wide())).wrapping_sub(256),
                    tsecr: self.tsval.wrapping_sub(u32::from(tape.any())),
                });
            }
            for _ in 0..which >> 1 & 3 {
                let (left, len) = (near(tape.wide(), false), u32::from(tape.wide()));
                let left = self.snd_nxt + left as u32;
                options.sack.push(SackBlock { left: left.raw(), right: (left + len).raw() });
            }
            options.mss = (which & 8 != 0).then(|| tape.wide());
            options.window_scale = (which & 16 != 0).then(|| tape.any());
            options.sack_permitted = which & 32 != 0;
        }
        self.arrives(flags, seq, ack, len, wnd, options);
    }

    fn arrives(&mut self, flags: Flags, seq: i32, ack: i32, len: usize, wnd: u16, mut options: TcpOptions) {
        if options.timestamps.is_none() && self.tsval != 0 && len & 1 == 0 {
            options.timestamps = Some(Timestamps { tsval: 300, tsecr: self.tsval });
        }
        let (seq, ack) = (self.rcv_nxt + seq as u32, self.snd_nxt + ack as u32);
        let text = std::mem::take(&mut self.text);
        let segment = Segment { wnd, up: wnd, options, text: &text[..len], ..bare(flags, seq, ack) };
        self.with(|conn, ctx| conn.handle_segment(ctx, &segment));
        if self.conn.state() != State::Closed && flags.syn() && self.rcv_nxt == IRS {
            self.rcv_nxt = seq + 1;
        }
        self.text = text;
    }

    /// All that is to be sent now leaves, and then time has something to wait for or nothing to do.
    fn drain(&mut self) {
        let mut rounds = 0;
        loop {
            let mut segments = 0;
            while let Some(segment) = self.with(|conn, ctx| conn.poll_segment(ctx)) {
                let text: usize = self.conn.payload(&segment).map(<[u8]>::len).sum();
                assert_eq!(text, segment.text_len as usize, "{segment:?}");
                assert!(segment.text_len <= u32::from(segment.segment_size).max(self.tso_max), "{segment:?}");
                assert!(segment.options.wire_len() <= 40, "{segment:?}");
                self.snd_nxt = self.snd_nxt.later(segment.end());
                if segment.flags.ack() && !segment.flags.rst() {
                    self.rcv_nxt = segment.ack;
                }
                if let Some(stamps) = segment.options.timestamps {
                    self.tsval = stamps.tsval;
                }
                segments += 1;
                assert!(segments < SEGMENTS_MAX, "it never stops sending");
            }
            let _ = self.conn.poll_events();
            assert!(self.memory.budget.used() <= BUDGET);
            assert!(self.conn.queued() + self.conn.readable() <= BUDGET);
            match self.with(|conn, ctx| conn.next_deadline(ctx)) {
                Some(due) if due <= self.now => self.with(Connection::handle_timer),
                _ => break,
            }
            rounds += 1;
            assert!(rounds < 4, "a timer that has run is still due in {}", self.conn.state());
        }
    }

    /// Left alone by its program and its peer, it ends; and what it held comes back.
    fn end(mut self) {
        self.with(Connection::close);
        self.drain();
        let mut timers = 0;
        while let Some(due) = self.with(|conn, ctx| conn.next_deadline(ctx)) {
            self.now = self.now.max(due);
            let sent = self.snd_nxt;
            self.with(Connection::handle_timer);
            self.drain();
            // What is sent for the first time, a segment a pacing interval, is bounded by what was queued.
            timers += u32::from(self.snd_nxt == sent);
            assert!(timers < 200, "it never ends: {}", self.conn.state());
        }
        assert_eq!(self.conn.state(), State::Closed, "nothing will ever end it");
        assert!(self.conn.end().is_some());
        self.conn.release(&mut self.memory);
        assert_eq!(self.memory.budget.used(), 0, "it kept some memory");
    }
}

fn bare(flags: Flags, seq: SeqNum, ack: SeqNum) -> Segment<'static> {
    Segment {
        seq,
        ack,
        wnd: u16::MAX,
        up: 0,
        flags,
        options: TcpOptions::NONE,
        ce: false,
        segments: 1,
        text: &[],
    }
}
