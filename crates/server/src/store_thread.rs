//! The store's thread: takes what waits, commits it as one group, sends the answers home.
//! Owns: the back end, the log-in throttle, the log-ins that have to wait, when the archives are swept.
//! Invariants: requests of one loop are answered in their order; no answer leaves before the commit that it speaks of;
//! a log-in that has to wait holds up nothing else. PLAIN's key derivation runs on a thread beside it.
//! Not here: what is kept (`store`), who may log in (`session`).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use router::SessionId;
use session::limits::{LoginThrottle, RegisterThrottle};
use session::{
    CredentialsAnswer, CredentialsRequest, Mechanism, RegisterRequest, SessionConfig, TokensAnswer,
};
use store::{
    AccountState, Answer, ArchiveOp, Backend, Credentials, Op, Reply, Request, SavedSession, SessionOp,
    StoreError,
};
use xmpp::address::AccountNumber;
use xmpp::time::{Instant, Now, Wallclock};

use crate::clock::Clock;
use crate::counts::StoreCounts;
use crate::event_loop::PanicIsFatal;
use crate::letter::{Letter, SessionName, StoreLetter};
use crate::mailbox::{Bell, Inbound, Outbound};

mod registering;

use registering::Done;

/// Requests committed together at most: long enough to pay for an fsync, short enough to answer soon.
const BATCH_MAX: usize = 2048;
/// Log-ins that may wait their turn; more are answered as if the store had failed.
const WAITING_MAX: usize = 10_000;
/// When a log-in's keys are answered after it came: later than any look-up takes, so that the time says nothing about
/// whether there is such a number. It is part of a log-in's latency, and of nobody's CPU.
const ANSWER_AFTER: Duration = Duration::from_millis(1);
/// PLAIN log-ins whose keys are derived or wait for it; more are answered likewise.
const DERIVING_MAX: usize = 256;

/// Rows that one sweep of the archives forgets at most: some milliseconds' work.
const SWEEP_ROWS: u32 = 500;
/// How long after a sweep that left nothing the next one comes, and after one that has more to do.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEEP_ON: Duration = Duration::from_millis(100);

/// Saved sessions read from the store at a time when the exchange starts.
const SAVED_PAGE: u32 = 256;

/// The sessions that the exchange before this one saved. Records of others are known for `keep` from now on.
pub(crate) fn saved_sessions(
    backend: &mut dyn Backend,
    now: Wallclock,
    keep: Duration,
) -> Result<Vec<SavedSession>, StoreError> {
    let keep = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let until = Wallclock::from_millis(now.as_millis().saturating_add(keep));
    backend.run_one(now, Op::Session(SessionOp::Begin { until }))?;
    let mut all = Vec::new();
    loop {
        match backend.run_one(now, Op::Session(SessionOp::Take { limit: SAVED_PAGE }))? {
            Answer::Sessions(taken) if taken.is_empty() => return Ok(all),
            Answer::Sessions(taken) => all.extend(taken),
            other => return Err(StoreError::Failed(format!("no sessions: {other:?}").into())),
        }
    }
}

/// A bell for a thread that sleeps on a condition.
#[derive(Debug, Default)]
pub(crate) struct Parker {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    fn wait(&self, within: Option<Duration>) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rung = match within {
            None => self.changed.wait_while(rung, |rung| !*rung).unwrap_or_else(PoisonError::into_inner),
            Some(within) => {
                let waited = self.changed.wait_timeout_while(rung, within, |rung| !*rung);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *rung = false;
    }
}

impl Bell for Parker {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}

/// What the store thread is made of.
pub(crate) struct Parts {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) parker: Arc<Parker>,
    pub(crate) mail: Vec<Inbound<StoreLetter>>,
    /// To the loops, by their number.
    pub(crate) loops: Vec<Outbound<Letter>>,
    pub(crate) session: Arc<SessionConfig>,
    pub(crate) counts: Arc<StoreCounts>,
    /// Accounts that one address may make in an hour without an invite.
    pub(crate) per_hour: u32,
    /// PBKDF2 rounds for new passwords.
    pub(crate) iterations: u32,
}

/// Where an answer goes.
enum Origin {
    Router(u8),
    LogIn(LogIn),
    Tokens(u8, SessionId),
    Count(u8, SessionId, u32),
    Register(u8, SessionId, Done),
    Admin(Sender<Result<Answer, StoreError>>),
    /// Nowhere: the thread sweeps its own house.
    Sweep,
}

/// A password on its way to keys.
pub(crate) enum Derivation {
    /// PLAIN's, to be compared.
    LogIn(LogIn, Found),
    /// A new one.
    Register { from: u8, session: SessionId, request: RegisterRequest },
}

/// A client that wants to log in.
pub(crate) struct LogIn {
    from: u8,
    session: SessionId,
    request: Box<CredentialsRequest>,
    /// When it is answered.
    due: Instant,
}

/// Starts the thread.
pub(crate) fn start(
    parts: Parts,
    clock: Clock,
    derived: Vec<Outbound<Letter>>,
) -> io::Result<JoinHandle<()>> {
    let (derive, derivations) = sync_channel(DERIVING_MAX);
    let (config, iterations) = (Arc::clone(&parts.session), parts.iterations);
    let deriver = std::thread::Builder::new()
        .name("keys".into())
        .spawn(move || derive_keys(&derivations, derived, &config, iterations))?;
    let desk = StoreDesk::new(parts, Some(derive));
    std::thread::Builder::new().name("store".into()).spawn(move || {
        let _fatal = PanicIsFatal;
        desk.run(clock);
        let _ = deriver.join();
    })
}

/// What is done between the mailboxes and the back end. On a thread of its own, or turned by hand (`steered`).
pub(crate) struct StoreDesk {
    backend: Box<dyn Backend>,
    parker: Arc<Parker>,
    mail: Vec<Inbound<StoreLetter>>,
    loops: Vec<Outbound<Letter>>,
    session: Arc<SessionConfig>,
    counts: Arc<StoreCounts>,
    /// The thread that derives PLAIN's keys; without one they are derived here.
    derive: Option<SyncSender<Derivation>>,
    throttle: LoginThrottle,
    registrations: RegisterThrottle,
    /// PBKDF2 rounds for new passwords.
    iterations: u32,
    /// Log-ins that have to wait, by the time they may go on.
    waiting: BTreeMap<(Instant, u64), LogIn>,
    /// Answers to log-ins that are not due yet, and to whom they go.
    answers: BTreeMap<(Instant, u64), (u8, Letter)>,
    /// Tells entries of the same instant apart, in both.
    waited: u64,
    /// When the archives are swept next.
    sweep_at: Instant,
    letters: VecDeque<StoreLetter>,
    batch: Vec<Request>,
    origins: VecDeque<Origin>,
    replies: Vec<Reply>,
    stopping: bool,
}

/// What the store has of an account.
pub(crate) type Found = Option<(AccountState, Box<Credentials>)>;

impl StoreDesk {
    pub(crate) fn new(parts: Parts, derive: Option<SyncSender<Derivation>>) -> Self {
        let Parts { backend, parker, mail, loops, session, counts, per_hour, iterations } = parts;
        Self {
            backend,
            parker,
            mail,
            loops,
            session,
            counts,
            derive,
            throttle: LoginThrottle::new(LoginThrottle::ENTRIES_MAX),
            registrations: RegisterThrottle::new(per_hour),
            iterations,
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            waited: 0,
            sweep_at: Instant::ZERO,
            letters: VecDeque::new(),
            batch: Vec::new(),
            origins: VecDeque::new(),
            replies: Vec::new(),
            stopping: false,
        }
    }

    fn run(mut self, clock: Clock) {
        loop {
            let moved = self.take_mail() || !self.letters.is_empty();
            let begun = clock.now();
            if self.work(begun) {
                self.counts.busy(clock.now().mono.saturating_since(begun.mono));
            }
            let full = self.send(clock.now().mono);
            if !moved && self.letters.is_empty() {
                if self.stopping && !full {
                    return;
                }
                let next = self.next_deadline();
                self.parker.wait(next.map(|at| at.saturating_since(clock.now().mono)));
            }
        }
    }

    /// Looks up, commits and answers what has come, as one group. Answers whether there was any.
    pub(crate) fn work(&mut self, now: Now) -> bool {
        while let Some(entry) = self.waiting.first_entry() {
            if entry.key().0 > now.mono {
                break;
            }
            let log_in = entry.remove();
            self.look_up(log_in);
        }
        while self.batch.len() < BATCH_MAX {
            let Some(letter) = self.letters.pop_front() else { break };
            self.open(now.mono, letter);
        }
        if now.mono >= self.sweep_at {
            self.sweep_at = now.mono + SWEEP_EVERY;
            let op = Op::Archive(ArchiveOp::Sweep { rows_max: SWEEP_ROWS });
            self.batch.push(Request { token: 0, op });
            self.origins.push_back(Origin::Sweep);
        }
        if self.batch.is_empty() {
            return false;
        }
        self.backend.run(now.wall, &mut self.batch, &mut self.replies);
        self.batch.clear();
        let undone = |reply: &&Reply| matches!(reply.answer, Err(StoreError::Full | StoreError::Failed(_)));
        self.counts.batch(self.replies.len(), self.replies.iter().filter(undone).count());
        self.deliver();
        true
    }

    /// Sends the answers that are due. Answers whether a loop has no room.
    pub(crate) fn send(&mut self, now: Instant) -> bool {
        self.send_due(now);
        self.loops.iter_mut().fold(false, |full, outbound| outbound.flush() | full)
    }

    /// When a log-in that waits may go on, or its answer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.first_key_value().map(|((at, _), _)| *at);
        let answers = self.answers.first_key_value().map(|((at, _), _)| *at);
        waiting.into_iter().chain(answers).chain([self.sweep_at]).min()
    }

    /// Whether letters wait that did not fit the last group.
    pub(crate) fn has_letters(&self) -> bool {
        !self.letters.is_empty()
    }

    /// Sends the answers to log-ins whose time has come.
    fn send_due(&mut self, now: Instant) {
        while let Some(entry) = self.answers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (to, letter) = entry.remove();
            self.loops[usize::from(to)].stage(letter);
        }
    }

    /// Takes letters from every mailbox in turn. Answers whether there were any.
    pub(crate) fn take_mail(&mut self) -> bool {
        let mut any = false;
        let mut taken = VecDeque::new();
        for inbound in &self.mail {
            // A large backlog stays where its senders see it.
            if self.letters.len() >= BATCH_MAX {
                break;
            }
            inbound.take(&mut taken);
            any |= !taken.is_empty();
            self.letters.append(&mut taken);
        }
        any
    }

    fn open(&mut self, now: Instant, letter: StoreLetter) {
        match letter {
            StoreLetter::Request { from, request } => {
                self.batch.push(request);
                self.origins.push_back(Origin::Router(from));
            }
            StoreLetter::Credentials { from, session, address, request } => {
                let delay = self.throttle.delay(now, address, request.name.number());
                let log_in = LogIn { from, session, request, due: now + delay + ANSWER_AFTER };
                if delay.is_zero() {
                    self.look_up(log_in);
                } else if self.waiting.len() < WAITING_MAX {
                    self.waited += 1;
                    self.waiting.insert((now + delay, self.waited), log_in);
                } else {
                    let answer = log_in.request.failure(&self.session);
                    self.answer(&log_in, answer);
                }
            }
            StoreLetter::Count { from, session, upto, op } => {
                self.batch.push(Request { token: 0, op: Op::Session(op) });
                self.origins.push_back(Origin::Count(from, session, upto));
            }
            StoreLetter::Tokens { from, session, change } => {
                self.batch.push(Request { token: 0, op: Op::ChangeTokens(change) });
                self.origins.push_back(Origin::Tokens(from, session));
            }
            StoreLetter::Register { from, session, address, request } => {
                self.register(now, from, session, address, *request);
            }
            StoreLetter::Derived { from, session, change } => self.register_op(from, session, *change),
            StoreLetter::LogIn { address, number, succeeded } => {
                self.note_log_in(now, address, number, succeeded);
            }
            StoreLetter::Admin { op, answer } => {
                self.batch.push(Request { token: 0, op });
                self.origins.push_back(Origin::Admin(answer));
            }
            StoreLetter::Stop => self.stopping = true,
        }
    }

    fn note_log_in(&mut self, now: Instant, address: IpAddr, number: Option<AccountNumber>, succeeded: bool) {
        match number {
            Some(number) if succeeded => self.throttle.on_success(now, address, number),
            _ => self.throttle.on_failure(now, address, number),
        }
    }

    fn look_up(&mut self, log_in: LogIn) {
        self.batch.push(Request { token: 0, op: log_in.request.op() });
        self.origins.push_back(Origin::LogIn(log_in));
    }

    /// Sends each reply of a batch to whoever asked.
    fn deliver(&mut self) {
        debug_assert_eq!(self.replies.len(), self.origins.len(), "a back end answers each request, in order");
        let mut replies = std::mem::take(&mut self.replies);
        for reply in replies.drain(..) {
            match self.origins.pop_front() {
                Some(Origin::Router(to)) => self.loops[usize::from(to)].stage(Letter::Reply(reply)),
                Some(Origin::Admin(answer)) => {
                    // Whoever asked may have given up.
                    let _ = answer.send(reply.answer);
                }
                Some(Origin::Sweep) if reply.answer == Ok(Answer::Swept { done: false }) => {
                    self.sweep_at = self.sweep_at - (SWEEP_EVERY - SWEEP_ON);
                }
                Some(Origin::LogIn(log_in)) => self.check(log_in, reply.answer),
                Some(Origin::Register(from, session, done)) => {
                    self.on_registered(from, session, done, reply.answer);
                }
                Some(Origin::Count(to, session, upto)) => {
                    let kept = reply.answer.is_ok();
                    self.loops[usize::from(to)].stage(Letter::Counted { session, upto, kept });
                }
                Some(Origin::Tokens(to, session)) => {
                    let answer = match reply.answer {
                        Ok(_) => TokensAnswer::Done,
                        Err(StoreError::NoSuchItem) => TokensAnswer::Stale,
                        Err(error) => {
                            tracing::error!(%error, "tokens could not be changed");
                            TokensAnswer::Failed
                        }
                    };
                    self.loops[usize::from(to)].stage(Letter::Tokens { session, answer });
                }
                Some(Origin::Sweep) | None => {}
            }
        }
        self.replies = replies;
    }

    fn check(&mut self, log_in: LogIn, found: Result<Answer, StoreError>) {
        let found = match found {
            Ok(Answer::Tokens(found)) => {
                let found = found.filter(|_| log_in.request.name.number().is_some());
                let answer = log_in.request.answer_tokens(found);
                return self.answer(&log_in, answer);
            }
            Ok(Answer::Credentials(found)) if log_in.request.name.number().is_some() => found,
            Ok(_) => None,
            Err(error) => {
                tracing::error!(%error, "a log-in could not be looked up");
                let answer = log_in.request.failure(&self.session);
                return self.answer(&log_in, answer);
            }
        };
        if log_in.request.mechanism != Mechanism::Plain {
            let answer = log_in.request.answer(found, &self.session);
            return self.answer(&log_in, answer);
        }
        // The password's keys take milliseconds to derive: not on the thread that everyone waits for.
        let Some(derive) = &self.derive else {
            let answer = log_in.request.answer(found, &self.session);
            return self.answer(&log_in, answer);
        };
        if let Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) =
            derive.try_send(Derivation::LogIn(log_in, found))
            && let Derivation::LogIn(log_in, _) = back
        {
            let mechanism_free = log_in.request.failure(&self.session);
            self.answer(&log_in, mechanism_free);
        }
    }

    fn answer(&mut self, log_in: &LogIn, answer: CredentialsAnswer) {
        let letter = Letter::Credentials { session: log_in.session, answer: Box::new(answer) };
        self.waited += 1;
        self.answers.insert((log_in.due, self.waited), (log_in.from, letter));
    }
}

/// Derives the keys of passwords, one after the other, until nobody sends any more.
fn derive_keys(
    derivations: &Receiver<Derivation>,
    mut loops: Vec<Outbound<Letter>>,
    config: &SessionConfig,
    iterations: u32,
) {
    while let Ok(derivation) = derivations.recv() {
        let (to, session, letter) = match derivation {
            Derivation::LogIn(LogIn { from, session, request, .. }, found) => {
                let answer = Box::new(request.answer(found, config));
                (from, session, Letter::Credentials { session, answer })
            }
            // The store has one writer, so the keys go by way of the loop that wants them kept.
            Derivation::Register { from, session, request } => {
                let letter = match registering::keys_of(request, iterations) {
                    Ok(change) => Letter::Derived { session, change },
                    Err(refusal) => Letter::Registered { session, answer: Err(refusal) },
                };
                (from, session, letter)
            }
        };
        let outbound = &mut loops[usize::from(to)];
        outbound.stage(letter);
        // A loop without room is asked again with the next one: there are few of these.
        outbound.flush();
        debug_assert_eq!(SessionName::from_id(session).event_loop, to);
    }
}

#[cfg(test)]
mod tests;
