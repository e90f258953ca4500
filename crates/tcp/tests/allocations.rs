//! Hot paths do not allocate once warm, and idle connections hold no memory: counted, not believed.
#![allow(unsafe_code)] // A counting allocator cannot be written without.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use switchboard_tcp::{
    Connection, Ctx, Disposition, Instant, Memory, Opening, SendFlags, SeqNum, Settings, State,
    SynDisposition, SynReceived, TcpConfig,
};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it is; beside that only a counter of this thread moves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

/// Two connections that hand each other their segments.
struct Wire {
    now: Instant,
    config: TcpConfig,
    memory: Memory,
    ends: [Connection; 2],
    text: Vec<u8>,
    tso_max: u32,
    segments: u64,
    /// Of so many segments with text one is lost; 0: none.
    lose_every: u64,
    lost: u64,
}

fn open(config: TcpConfig, mss: u16, tso_max: u32) -> Wire {
    let now = Instant::from_secs(1);
    let mut memory = Memory::new(1 << 30);
    let opening = |iss| Opening { iss: SeqNum(iss), ts_offset: iss, mss, path_mss: mss };
    let mut ctx = Ctx::new(now, &config, &mut memory);
    let mut a = Connection::connect(&mut ctx, config.defaults.clone(), &opening(77));
    let syn = a.poll_segment(&mut ctx).expect("a SYN");
    let mut entry = SynReceived::new(now, &config, &config.defaults, &opening(99), &syn.as_arriving(&[]));
    assert_eq!(a.handle_segment(&mut ctx, &entry.syn_ack(now).as_arriving(&[])), Disposition::Taken);
    let last = a.poll_segment(&mut ctx).expect("the ACK");
    assert_eq!(entry.handle_segment(now, &config, &last.as_arriving(&[])), SynDisposition::Complete);
    let mut b = entry.into_connection(&mut ctx, config.defaults.clone(), &last.as_arriving(&[]));
    assert_eq!(b.handle_segment(&mut ctx, &last.as_arriving(&[])), Disposition::Taken);
    assert_eq!((a.state(), b.state()), (State::Established, State::Established));
    let text = vec![0; 70_000];
    Wire { now, config, memory, ends: [a, b], text, tso_max, segments: 0, lose_every: 0, lost: 0 }
}

impl Wire {
    fn with<R>(&mut self, end: usize, call: impl FnOnce(&mut Connection, &mut Ctx<'_>) -> R) -> R {
        let mut ctx = Ctx { tso_max: self.tso_max, ..Ctx::new(self.now, &self.config, &mut self.memory) };
        call(&mut self.ends[end], &mut ctx)
    }

    /// Everything either has to say is said and heard.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for end in [0, 1] {
                while let Some(seg) = self.with(end, |conn, ctx| conn.poll_segment(ctx)) {
                    quiet = false;
                    self.segments += 1;
                    let len = seg.text_len as usize;
                    assert_eq!(self.ends[end].payload(&seg).copy_to(&mut self.text[..len]), len);
                    if len > 0 && self.lose_every > 0 && self.segments.is_multiple_of(self.lose_every) {
                        self.lost += 1;
                        continue;
                    }
                    let mut ctx = Ctx::new(self.now, &self.config, &mut self.memory);
                    let mut arriving = seg.as_arriving(&self.text[..len]);
                    arriving.segments = seg.text_len.div_ceil(u32::from(seg.segment_size)).max(1) as u16;
                    let _ = self.ends[1 - end].handle_segment(&mut ctx, &arriving);
                    let _ = self.ends[1 - end].poll_events();
                    if self.ends[1 - end].readable() > 200_000 {
                        self.read(1 - end);
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn read(&mut self, end: usize) -> usize {
        let mut ctx = Ctx::new(self.now, &self.config, &mut self.memory);
        let readable = self.ends[end].readable();
        self.ends[end].consume(&mut ctx, readable);
        readable
    }

    fn ping_pong(&mut self) {
        for end in [0, 1] {
            let sent =
                self.with(end, |conn, ctx| conn.send(ctx, b"a message of some size", SendFlags::default()));
            assert_eq!(sent, Ok(22));
            self.settle();
            assert!(self.read(1 - end) > 0);
            self.now += Duration::from_millis(1);
        }
    }

    fn bulk(&mut self, data: &[u8]) {
        let mut left = data;
        while !left.is_empty() {
            let sent = self.with(0, |conn, ctx| conn.send(ctx, left, SendFlags::default())).unwrap_or(0);
            left = &left[sent..];
            self.settle();
            self.read(1);
            self.settle();
            self.now += Duration::from_micros(10);
            self.run_timers(sent == 0);
        }
    }

    /// Runs what is due; `stuck`: time goes on until something is.
    fn run_timers(&mut self, stuck: bool) {
        let deadlines = [0, 1].map(|end| self.with(end, |conn, ctx| conn.next_deadline(ctx)));
        if stuck && let Some(next) = deadlines.into_iter().flatten().min() {
            self.now = self.now.max(next);
        }
        for (end, deadline) in deadlines.into_iter().enumerate() {
            if deadline.is_some_and(|deadline| deadline <= self.now) {
                self.with(end, |conn, ctx| conn.handle_timer(ctx));
            }
        }
    }
}

#[test]
fn a_warm_connection_does_not_allocate() {
    // Fixed buffers: while auto-tuning grows a window, the queue behind it grows too.
    let settings =
        Settings { send_buffer: Some(256 << 10), receive_buffer: Some(1 << 20), ..Settings::default() };
    let config = TcpConfig { defaults: Arc::new(settings), ..TcpConfig::default() };
    let mut wire = open(config, 1460, 0);
    let data = vec![3; 4 << 20];
    for _ in 0..100 {
        wire.ping_pong();
    }
    assert_eq!(allocations(|| (0..1000).for_each(|_| wire.ping_pong())), 0, "a message there and one back");
    wire.bulk(&data);
    wire.bulk(&data);
    let before = wire.segments;
    assert_eq!(allocations(|| wire.bulk(&data)), 0, "4 MiB in segments");
    assert!(wire.segments - before > 2000);
}

/// Nor does recovery: one segment of fifty is lost, which is found by SACK, by the reordering timer, by probes and by timeouts.
#[test]
fn a_warm_connection_that_loses_segments_does_not_allocate() {
    let settings =
        Settings { send_buffer: Some(256 << 10), receive_buffer: Some(1 << 20), ..Settings::default() };
    let config = TcpConfig { defaults: Arc::new(settings), ..TcpConfig::default() };
    let mut wire = open(config, 1460, 0);
    let data = vec![3; 4 << 20];
    wire.lose_every = 50;
    for _ in 0..4 {
        wire.bulk(&data);
    }
    let (segments, lost) = (wire.segments, wire.lost);
    assert_eq!(allocations(|| wire.bulk(&data)), 0, "4 MiB in segments, one of fifty lost");
    assert!(wire.segments - segments > 2000);
    assert!(wire.lost - lost > 30, "{}", wire.lost - lost);
}

#[test]
fn an_idle_connection_holds_nothing_of_the_budget() {
    let mut wire = open(TcpConfig::default(), 1460, 0);
    wire.bulk(&[1; 4096]);
    wire.now += Duration::from_secs(1);
    for end in [0, 1] {
        wire.with(end, |conn, ctx| conn.handle_timer(ctx));
    }
    wire.settle();
    assert_eq!(wire.memory.budget.used(), 0);
    for end in [0, 1] {
        assert_eq!(wire.with(end, |conn, ctx| conn.next_deadline(ctx)), None);
    }
}

/// Not a bound, a look: `cargo test -p switchboard-tcp --release --test allocations -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn measure() {
    for (name, mss, tso) in [("1460", 1460, 0), ("1460, TSO", 1460, 65_535), ("65000", 65_000, 0)] {
        let mut wire = open(TcpConfig::default(), mss, tso);
        let data = vec![3; 64 << 20];
        wire.bulk(&data);
        let (start, before) = (Clock::now(), wire.segments);
        wire.bulk(&data);
        let nanos = start.elapsed().as_nanos() as f64;
        let segments = (wire.segments - before) as f64;
        println!(
            "bulk {name}: {:.1} Gbit/s, {:.0} ns a segment of {segments}",
            data.len() as f64 * 8.0 / nanos,
            nanos / segments
        );
    }
    let mut wire = open(TcpConfig::default(), 1460, 0);
    let start = Clock::now();
    for _ in 0..200_000 {
        wire.ping_pong();
    }
    println!("a message there and one back: {:.0} ns", start.elapsed().as_nanos() as f64 / 200_000.0);
}
