//! What every back end must do: one suite that all of them pass, and random conversations in which each must say what
//! the reference says.
//!
//! Owns: the cases. Not here: what only SQLite does (files, migrations, a full disk: `sqlite/tests.rs`).

use std::time::Duration;

use xmpp::address::{AccountNumber, BareJid};
use xmpp::time::Wallclock;

use crate::{
    Account, AccountState, Answer, Authority, Backend, Credentials, Hold, Limits, Memory, NewToken,
    OfflineId, OfflinePage, OfflineRow, Op, Request, Roster, RosterItem, ScramKeys, Sqlite, StoreError,
    Subscription, Token, TokenChange, invite, token,
};

mod random;

pub(crate) const NOW: Wallclock = Wallclock::from_millis(1_764_000_000_000);

/// Small, so that a case reaches them.
pub(crate) const LIMITS: Limits = Limits {
    roster_items_max: 3,
    offline_rows_max: 4,
    offline_bytes_max: 100,
    archive_rows_max: 12,
    archive_keep: Some(Duration::from_secs(3600)),
};

pub(crate) fn number(n: u64) -> AccountNumber {
    AccountNumber::new(n).unwrap()
}

pub(crate) fn contact(address: &str) -> BareJid {
    BareJid::parse(address).unwrap()
}

pub(crate) fn credentials(mark: u8) -> Box<Credentials> {
    Box::new(Credentials {
        sha1: Some(ScramKeys {
            salt: vec![mark; 16],
            iterations: 4096,
            stored_key: [mark; 20],
            server_key: [mark + 1; 20],
        }),
        sha256: Some(ScramKeys {
            salt: vec![mark + 2; 16],
            iterations: 10_000,
            stored_key: [mark + 3; 32],
            server_key: [mark + 4; 32],
        }),
    })
}

pub(crate) fn create(store: &mut dyn Backend, given: Option<u64>) -> Result<u64, StoreError> {
    let op = Op::CreateAccount { number: given.map(number), name: None, credentials: credentials(1) };
    match store.run_one(NOW, op)? {
        Answer::Created(number) => Ok(number.get()),
        other => panic!("created? {other:?}"),
    }
}

pub(crate) fn push(store: &mut dyn Backend, to: u64, stanza: &str) -> Result<u64, StoreError> {
    let op = Op::PushOffline { number: number(to), stamp: NOW, stanza: stanza.into() };
    match store.run_one(NOW, op)? {
        Answer::Pushed(id) => Ok(id.0),
        other => panic!("pushed? {other:?}"),
    }
}

pub(crate) fn page(store: &mut dyn Backend, of: u64, after: u64, limit: u32) -> OfflinePage {
    let op = Op::LoadOffline { number: number(of), after: OfflineId(after), limit };
    match store.run_one(NOW, op).unwrap() {
        Answer::Offline(page) => page,
        other => panic!("a page? {other:?}"),
    }
}

fn waiting(store: &mut dyn Backend, of: u64) -> Vec<String> {
    page(store, of, 0, 100).rows.into_iter().map(|row| String::from_utf8(row.stanza).unwrap()).collect()
}

fn count(store: &mut dyn Backend, of: u64) -> (u64, u64) {
    match store.run_one(NOW, Op::CountOffline { number: number(of) }).unwrap() {
        Answer::OfflineCount { rows, bytes } => (rows, bytes),
        other => panic!("a count? {other:?}"),
    }
}

fn roster(store: &mut dyn Backend, of: u64) -> Roster {
    match store.run_one(NOW, Op::LoadRoster { number: number(of) }).unwrap() {
        Answer::Roster(roster) => roster,
        other => panic!("a roster? {other:?}"),
    }
}

fn listed(address: &str) -> RosterItem {
    RosterItem { listed: true, ..RosterItem::new(contact(address)) }
}

fn put(store: &mut dyn Backend, of: u64, item: RosterItem) -> Result<Answer, StoreError> {
    store.run_one(NOW, Op::PutRosterItem { number: number(of), item: Box::new(item) })
}

macro_rules! every_back_end {
    ($($case:ident)*) => {
        mod memory {
            $(#[test] fn $case() { super::$case(&mut super::Memory::new(super::LIMITS)); })*
        }
        mod sqlite {
            use crate::sqlite::tests::Place;
            $(#[test] fn $case() {
                let place = Place::new();
                super::$case(&mut place.open());
            })*
        }
    };
}

mod archive;
mod document;
mod pep;
mod session;

every_back_end! {
    numbers_start_at_10001_and_go_up
    a_given_number_is_taken_once
    automatic_numbers_step_over_given_ones
    a_deleted_number_is_never_given_out_again
    an_account_says_what_it_is
    accounts_are_listed_by_number_in_pages
    credentials_come_back_as_they_were_put
    a_token_takes_the_place_of_the_one_before_once_it_is_used
    a_token_goes_with_what_it_was_given_for
    an_account_has_tokens_of_so_many_clients
    an_invite_holds_its_number_until_it_has_expired
    an_invite_is_good_once_and_for_its_number_only
    an_invite_without_a_number_gets_one_when_it_is_shown
    nothing_can_be_done_to_a_number_without_account
    a_roster_counts_visible_changes
    a_roster_item_keeps_all_it_was_given
    a_roster_is_bounded_but_its_contacts_can_change
    messages_wait_in_order
    deleted_messages_are_gone_and_their_ids_too
    a_mailbox_is_bounded_by_rows_and_by_bytes
    mailboxes_do_not_see_each_other
    deleting_an_account_takes_its_roster_and_messages
    a_batch_is_answered_in_order_and_sees_itself
}

fn numbers_start_at_10001_and_go_up(store: &mut dyn Backend) {
    assert_eq!(create(store, None), Ok(10_001));
    assert_eq!(create(store, None), Ok(10_002));
}

fn a_given_number_is_taken_once(store: &mut dyn Backend) {
    assert_eq!(create(store, Some(7)), Ok(7));
    assert_eq!(create(store, Some(7)), Err(StoreError::NumberTaken));
}

fn automatic_numbers_step_over_given_ones(store: &mut dyn Backend) {
    for given in [10_001, 10_002, 10_004] {
        create(store, Some(given)).unwrap();
    }
    assert_eq!(create(store, None), Ok(10_003));
    assert_eq!(create(store, None), Ok(10_005));
}

fn a_deleted_number_is_never_given_out_again(store: &mut dyn Backend) {
    create(store, None).unwrap();
    store.run_one(NOW, Op::DeleteAccount { number: number(10_001) }).unwrap();
    assert_eq!(create(store, Some(10_001)), Err(StoreError::NumberTaken));
    assert_eq!(create(store, None), Ok(10_002));
}

fn an_account_says_what_it_is(store: &mut dyn Backend) {
    let later = NOW + Duration::from_millis(5);
    let op = Op::CreateAccount { number: None, name: Some("Ada".into()), credentials: credentials(1) };
    store.run_one(later, op).unwrap();
    let number = number(10_001);
    let account =
        |name: &str, state| Account { number, name: Some(name.into()), state, created: later, admin: false };
    let load = Op::LoadAccount { number };
    assert_eq!(
        store.run_one(NOW, load.clone()),
        Ok(Answer::Account(Some(Box::new(account("Ada", AccountState::Enabled)))))
    );
    store.run_one(NOW, Op::SetEnabled { number, enabled: false }).unwrap();
    store.run_one(NOW, Op::SetName { number, name: Some("Ada L.".into()) }).unwrap();
    assert_eq!(
        store.run_one(NOW, load),
        Ok(Answer::Account(Some(Box::new(account("Ada L.", AccountState::Disabled)))))
    );
    let Ok(Answer::Credentials(Some((state, _)))) = store.run_one(NOW, Op::LoadCredentials { number }) else {
        panic!("a disabled account keeps its credentials")
    };
    assert_eq!(state, AccountState::Disabled);
    store.run_one(NOW, Op::SetEnabled { number, enabled: true }).unwrap();
    store.run_one(NOW, Op::SetName { number, name: None }).unwrap();
    let Ok(Answer::Account(Some(account))) = store.run_one(NOW, Op::LoadAccount { number }) else { panic!() };
    assert_eq!((account.state, account.name), (AccountState::Enabled, None));
}

fn accounts_are_listed_by_number_in_pages(store: &mut dyn Backend) {
    for given in [10_005, 3, 10_001, 999_999_999_999_999] {
        create(store, Some(given)).unwrap();
    }
    store.run_one(NOW, Op::DeleteAccount { number: number(10_001) }).unwrap();
    let mut list = |after: Option<u64>, limit| {
        let op = Op::ListAccounts { after: after.map(number), limit };
        let Ok(Answer::Accounts { accounts, more }) = store.run_one(NOW, op) else { panic!() };
        (accounts.iter().map(|account| account.number.get()).collect::<Vec<_>>(), more)
    };
    assert_eq!(list(None, 10), (vec![3, 10_005, 999_999_999_999_999], false));
    assert_eq!(list(None, 2), (vec![3, 10_005], true));
    assert_eq!(list(Some(10_005), 2), (vec![999_999_999_999_999], false));
    assert_eq!(list(Some(999_999_999_999_999), 2), (vec![], false));
    assert_eq!(list(None, 0), (vec![], true));
}

fn credentials_come_back_as_they_were_put(store: &mut dyn Backend) {
    create(store, None).unwrap();
    let number = number(10_001);
    let load = Op::LoadCredentials { number };
    let enabled = |credentials| Ok(Answer::Credentials(Some((AccountState::Enabled, credentials))));
    assert_eq!(store.run_one(NOW, load.clone()), enabled(credentials(1)));
    let only_256 = Box::new(Credentials { sha1: None, ..*credentials(9) });
    for new in [only_256, credentials(5)] {
        let set = Op::SetCredentials { number, credentials: new.clone() };
        assert_eq!(store.run_one(NOW, set), Ok(Answer::Done));
        assert_eq!(store.run_one(NOW, load.clone()), enabled(new));
    }
}

fn nothing_can_be_done_to_a_number_without_account(store: &mut dyn Backend) {
    create(store, Some(5)).unwrap();
    store.run_one(NOW, Op::DeleteAccount { number: number(5) }).unwrap();
    for number in [number(4), number(5)] {
        for op in [
            Op::SetCredentials { number, credentials: credentials(1) },
            Op::SetEnabled { number, enabled: true },
            Op::SetName { number, name: None },
            Op::SetAdmin { number, admin: true },
            Op::RevokeTokens { number },
            Op::DeleteAccount { number },
            Op::LoadRoster { number },
            Op::PutRosterItem { number, item: Box::new(listed("10002@localhost")) },
            Op::RemoveRosterItem { number, contact: contact("10002@localhost") },
            Op::PushOffline { number, stamp: NOW, stanza: b"<message/>".to_vec() },
            Op::LoadOffline { number, after: OfflineId(0), limit: 10 },
            Op::DeleteOffline { number, first: OfflineId(1), last: OfflineId(2) },
            Op::CountOffline { number },
        ] {
            assert_eq!(store.run_one(NOW, op.clone()), Err(StoreError::NoSuchAccount), "{op:?}");
        }
        assert_eq!(store.run_one(NOW, Op::LoadAccount { number }), Ok(Answer::Account(None)));
        assert_eq!(store.run_one(NOW, Op::LoadCredentials { number }), Ok(Answer::Credentials(None)));
        let agent = [1; 32];
        assert_eq!(store.run_one(NOW, Op::LoadTokens { number, agent }), Ok(Answer::Tokens(None)));
        let change = token_change(number.get(), 1, password(1), Some(1));
        assert_eq!(store.run_one(NOW, change), Err(StoreError::NoSuchItem));
    }
}

fn password(mark: u8) -> Authority {
    Authority::Password(credentials(mark).mark())
}

fn used(nonce: u8, count: Option<u32>) -> Authority {
    Authority::Token { nonce: [nonce; 32], count }
}

/// A change of the tokens of a client, perhaps with a new token that is good for a day.
pub(crate) fn token_change(of: u64, agent: u8, authority: Authority, issue: Option<u8>) -> Op {
    let expires = NOW + Duration::from_secs(86_400);
    let mechanism = "HT-SHA-256-NONE".to_owned();
    let issue = issue.map(|nonce| NewToken { nonce: [nonce; 32], mechanism, expires });
    let change = TokenChange { number: number(of), agent: [agent; 32], authority, forget: false, issue };
    Op::ChangeTokens(Box::new(change))
}

/// The nonces and counts of a client's tokens; those that it has not used have a mark.
fn tokens(store: &mut dyn Backend, agent: u8) -> Vec<String> {
    let op = Op::LoadTokens { number: number(10_001), agent: [agent; 32] };
    let Ok(Answer::Tokens(Some((_, tokens)))) = store.run_one(NOW, op) else { panic!("no account") };
    let name = |token: &Token| format!("{}{}", token.nonce[0], if token.fresh { "?" } else { "" });
    tokens.iter().map(|token| format!("{}:{}", name(token), token.count)).collect()
}

// XEP-0484 3.5 and 5.1.
fn a_token_takes_the_place_of_the_one_before_once_it_is_used(store: &mut dyn Backend) {
    create(store, None).unwrap();
    let mut change = |authority, issue| store.run_one(NOW, token_change(10_001, 7, authority, issue));
    assert_eq!(change(password(1), Some(1)), Ok(Answer::Done));
    // One that was lost on the way is replaced.
    assert_eq!(change(password(1), Some(2)), Ok(Answer::Done));
    assert_eq!(change(used(1, None), None), Err(StoreError::NoSuchItem));
    assert_eq!(change(used(2, Some(5)), Some(3)), Ok(Answer::Done));
    // A count is good once.
    assert_eq!(change(used(2, Some(5)), None), Err(StoreError::NoSuchItem));
    assert_eq!(change(used(2, Some(4)), Some(4)), Err(StoreError::NoSuchItem));
    assert_eq!(tokens(store, 7), ["2:5", "3?:0"]);
    let mut change = |authority, issue| store.run_one(NOW, token_change(10_001, 7, authority, issue));
    assert_eq!(change(used(2, Some(6)), None), Ok(Answer::Done));
    assert_eq!(change(used(3, None), None), Ok(Answer::Done));
    assert_eq!(change(used(2, Some(7)), None), Err(StoreError::NoSuchItem));
    assert_eq!(tokens(store, 7), ["3:0"]);
    assert_eq!(tokens(store, 8), [""; 0]);
    let Op::ChangeTokens(mut change) = token_change(10_001, 7, used(3, None), None) else { panic!() };
    change.forget = true;
    assert_eq!(store.run_one(NOW, Op::ChangeTokens(change)), Ok(Answer::Done));
    assert_eq!(tokens(store, 7), [""; 0]);
}

fn a_token_goes_with_what_it_was_given_for(store: &mut dyn Backend) {
    create(store, None).unwrap();
    let number = number(10_001);
    let give = |store: &mut dyn Backend, mark, nonce| {
        let given = store.run_one(NOW, token_change(10_001, 7, password(mark), Some(nonce)));
        assert_eq!(given, Ok(Answer::Done));
    };
    let ends = [
        (Op::SetCredentials { number, credentials: credentials(9) }, 9),
        (Op::SetEnabled { number, enabled: false }, 9),
        (Op::RevokeTokens { number }, 9),
    ];
    give(store, 1, 1);
    for (end, mark) in ends {
        assert_eq!(tokens(store, 7).len(), 1, "{end:?}");
        store.run_one(NOW, end.clone()).unwrap();
        assert_eq!(tokens(store, 7), [""; 0], "{end:?}");
        // Nor does one come from a log-in that was under way.
        let late = store.run_one(NOW, token_change(10_001, 7, password(1), Some(2)));
        assert_eq!(late, Err(StoreError::NoSuchItem), "{end:?}");
        store.run_one(NOW, Op::SetEnabled { number, enabled: true }).unwrap();
        give(store, mark, 3);
    }
    // Nor with its time.
    let day = Duration::from_secs(86_400);
    store.run_one(NOW + day, token_change(10_001, 8, password(9), None)).unwrap();
    assert_eq!(tokens(store, 7), [""; 0]);
}

fn an_account_has_tokens_of_so_many_clients(store: &mut dyn Backend) {
    create(store, None).unwrap();
    for agent in 0..=token::AGENTS_MAX as u8 {
        store.run_one(NOW, token_change(10_001, agent, password(1), Some(agent))).unwrap();
    }
    assert_eq!((tokens(store, 0).len(), tokens(store, 1).len()), (0, 1));
}

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn invite(mark: u8, hold: Hold) -> Op {
    Op::CreateInvite { mark: [mark; 32], hold, expires: NOW + HOUR, inviter: None }
}

fn held(answer: Result<Answer, StoreError>) -> Option<u64> {
    match answer.unwrap() {
        Answer::Invite(invite) => invite.number.map(AccountNumber::get),
        other => panic!("an invite? {other:?}"),
    }
}

fn accept(mark: u8, of: u64) -> Op {
    Op::AcceptInvite { mark: [mark; 32], number: number(of), credentials: credentials(1) }
}

// XEP-0445 5: the number waits until the invite expires, and not for ever.
fn an_invite_holds_its_number_until_it_has_expired(store: &mut dyn Backend) {
    assert_eq!(held(store.run_one(NOW, invite(1, Hold::First))), Some(10_001));
    assert_eq!(held(store.run_one(NOW, invite(2, Hold::This(number(10_003))))), Some(10_003));
    assert_eq!(create(store, Some(10_001)), Err(StoreError::NumberTaken));
    assert_eq!(store.run_one(NOW, invite(3, Hold::This(number(10_001)))), Err(StoreError::NumberTaken));
    assert_eq!((create(store, None), create(store, None)), (Ok(10_002), Ok(10_004)));
    // One that is taken back is free at once.
    assert_eq!(store.run_one(NOW, Op::RevokeInvite { number: number(10_003) }), Ok(Answer::Done));
    assert_eq!(store.run_one(NOW, Op::RevokeInvite { number: number(10_003) }), Err(StoreError::NoSuchItem));
    assert_eq!(create(store, None), Ok(10_003));
    // One that has expired is not shown, but waits for who has seen it.
    let late = NOW + HOUR;
    let show = Op::ShowInvite { mark: [1; 32] };
    assert_eq!(held(store.run_one(NOW, show.clone())), Some(10_001));
    assert_eq!(store.run_one(late, show), Err(StoreError::NoSuchItem));
    assert_eq!(store.run_one(late, Op::ListInvites), Ok(Answer::Invites(vec![])));
    let free = |store: &mut dyn Backend, at| {
        let op = Op::CreateAccount { number: None, name: None, credentials: credentials(1) };
        store.run_one(at, op)
    };
    assert_eq!(free(store, late), Ok(Answer::Created(number(10_005))));
    let over = late + invite::GRACE;
    assert_eq!(store.run_one(over, accept(1, 10_001)), Err(StoreError::NoSuchItem));
    assert_eq!(free(store, over), Ok(Answer::Created(number(10_001))));
    assert_eq!(free(store, over), Ok(Answer::Created(number(10_006))));
}

fn an_invite_is_good_once_and_for_its_number_only(store: &mut dyn Backend) {
    store.run_one(NOW, invite(1, Hold::First)).unwrap();
    for wrong in [accept(1, 10_002), accept(2, 10_001)] {
        assert_eq!(store.run_one(NOW, wrong), Err(StoreError::NoSuchItem));
    }
    let late = NOW + HOUR + Duration::from_secs(1);
    assert_eq!(held(store.run_one(late, accept(1, 10_001))), Some(10_001));
    assert_eq!(store.run_one(NOW, accept(1, 10_001)), Err(StoreError::NoSuchItem));
    assert_eq!(create(store, Some(10_001)), Err(StoreError::NumberTaken));
    let Ok(Answer::Account(Some(_))) = store.run_one(NOW, Op::LoadAccount { number: number(10_001) }) else {
        panic!("no account")
    };
}

fn an_invite_without_a_number_gets_one_when_it_is_shown(store: &mut dyn Backend) {
    assert_eq!(held(store.run_one(NOW, invite(1, Hold::Later))), None);
    assert_eq!(create(store, None), Ok(10_001));
    assert_eq!(store.run_one(NOW, accept(1, 10_002)), Err(StoreError::NoSuchItem));
    let show = Op::ShowInvite { mark: [1; 32] };
    assert_eq!(held(store.run_one(NOW, show.clone())), Some(10_002));
    assert_eq!(create(store, None), Ok(10_003));
    assert_eq!(held(store.run_one(NOW, show)), Some(10_002));
    let Ok(Answer::Invites(invites)) = store.run_one(NOW, Op::ListInvites) else { panic!() };
    assert_eq!(invites.len(), 1);
}

fn a_roster_counts_visible_changes(store: &mut dyn Backend) {
    create(store, None).unwrap();
    assert_eq!(roster(store, 10_001), Roster::default());
    let waits = RosterItem {
        pending_in: Some(b"<presence type='subscribe'/>".to_vec()),
        ..RosterItem::new(contact("b@x"))
    };
    // (what is put, the version after it): RFC 6121 3.1.3, a request that waits is not in the roster that clients see.
    let steps = [
        (listed("a@x"), 1),
        (waits.clone(), 1),
        (listed("b@x"), 2),
        (RosterItem { name: Some("B".into()), ..listed("b@x") }, 3),
        (RosterItem { listed: false, ..waits }, 4),
    ];
    for (item, version) in steps {
        assert_eq!(put(store, 10_001, item.clone()), Ok(Answer::RosterVersion(version)), "{item:?}");
    }
    let mut remove = |address| {
        store.run_one(NOW, Op::RemoveRosterItem { number: number(10_001), contact: contact(address) })
    };
    assert_eq!(remove("b@x"), Ok(Answer::RosterVersion(4)));
    assert_eq!(remove("a@x"), Ok(Answer::RosterVersion(5)));
    assert_eq!(remove("a@x"), Err(StoreError::NoSuchItem));
    assert_eq!(roster(store, 10_001), Roster { version: 5, items: vec![] });
}

fn a_roster_item_keeps_all_it_was_given(store: &mut dyn Backend) {
    create(store, None).unwrap();
    let full = RosterItem {
        contact: contact("10002@localhost"),
        listed: true,
        name: Some("Zoë \"Q\" <z>".into()),
        groups: vec!["Friends".into(), "a\nb".into(), String::new()],
        subscription: Subscription::From,
        ask: true,
        approved: false,
        pending_in: Some(vec![0, 255, b'<']),
    };
    let mut items = vec![full.clone()];
    for (address, subscription) in [("b@x", Subscription::To), ("c@x", Subscription::Both)] {
        items.push(RosterItem { approved: true, subscription, ..listed(address) });
    }
    for item in &items {
        put(store, 10_001, item.clone()).unwrap();
    }
    assert_eq!(roster(store, 10_001).items, items);
}

fn a_roster_is_bounded_but_its_contacts_can_change(store: &mut dyn Backend) {
    create(store, None).unwrap();
    for address in ["a@x", "b@x", "c@x"] {
        put(store, 10_001, listed(address)).unwrap();
    }
    assert_eq!(put(store, 10_001, listed("d@x")), Err(StoreError::QuotaExceeded));
    assert_eq!(put(store, 10_001, listed("c@x")), Ok(Answer::RosterVersion(4)));
    store.run_one(NOW, Op::RemoveRosterItem { number: number(10_001), contact: contact("a@x") }).unwrap();
    assert_eq!(put(store, 10_001, listed("d@x")), Ok(Answer::RosterVersion(6)));
}

fn messages_wait_in_order(store: &mut dyn Backend) {
    create(store, None).unwrap();
    for (stanza, id) in [("one", 1), ("two", 2), ("three", 3)] {
        assert_eq!(push(store, 10_001, stanza), Ok(id));
    }
    assert_eq!(count(store, 10_001), (3, 11));
    let row = |id, stanza: &str| OfflineRow { id: OfflineId(id), stamp: NOW, stanza: stanza.into() };
    assert_eq!(
        page(store, 10_001, 0, 2),
        OfflinePage { rows: vec![row(1, "one"), row(2, "two")], more: true }
    );
    assert_eq!(page(store, 10_001, 2, 2), OfflinePage { rows: vec![row(3, "three")], more: false });
    assert_eq!(page(store, 10_001, 3, 2), OfflinePage { rows: vec![], more: false });
    assert_eq!(page(store, 10_001, u64::MAX, 2), OfflinePage { rows: vec![], more: false });
    assert_eq!(page(store, 10_001, 0, 0), OfflinePage { rows: vec![], more: true });
}

fn deleted_messages_are_gone_and_their_ids_too(store: &mut dyn Backend) {
    create(store, None).unwrap();
    for stanza in ["one", "two", "three", "four"] {
        push(store, 10_001, stanza).unwrap();
    }
    let mut delete = |first, last| {
        let op = Op::DeleteOffline { number: number(10_001), first: OfflineId(first), last: OfflineId(last) };
        assert_eq!(store.run_one(NOW, op), Ok(Answer::Done));
        (waiting(store, 10_001), count(store, 10_001))
    };
    assert_eq!(delete(2, 1).0.len(), 4);
    assert_eq!(delete(2, 3), (vec!["one".into(), "four".into()], (2, 7)));
    assert_eq!(delete(2, 3).0.len(), 2);
    assert_eq!(delete(0, u64::MAX), (vec![], (0, 0)));
    assert_eq!(push(store, 10_001, "five"), Ok(5));
    assert_eq!(delete_range(store, 1, 4), vec!["five"]);
}

fn delete_range(store: &mut dyn Backend, first: u64, last: u64) -> Vec<String> {
    let op = Op::DeleteOffline { number: number(10_001), first: OfflineId(first), last: OfflineId(last) };
    store.run_one(NOW, op).unwrap();
    waiting(store, 10_001)
}

fn a_mailbox_is_bounded_by_rows_and_by_bytes(store: &mut dyn Backend) {
    create(store, None).unwrap();
    create(store, None).unwrap();
    for _ in 0..4 {
        push(store, 10_001, "x").unwrap();
    }
    assert_eq!(push(store, 10_001, "x"), Err(StoreError::QuotaExceeded));
    assert_eq!(delete_range(store, 1, 1).len(), 3);
    assert_eq!(push(store, 10_001, "x"), Ok(5));

    assert_eq!(push(store, 10_002, &"y".repeat(99)), Ok(1));
    assert_eq!(push(store, 10_002, "yy"), Err(StoreError::QuotaExceeded));
    assert_eq!(push(store, 10_002, "y"), Ok(2));
}

fn mailboxes_do_not_see_each_other(store: &mut dyn Backend) {
    for given in [1, 2, 3] {
        create(store, Some(given)).unwrap();
    }
    push(store, 1, "for one").unwrap();
    push(store, 3, "for three").unwrap();
    assert_eq!(waiting(store, 2), Vec::<String>::new());
    let all = Op::DeleteOffline { number: number(2), first: OfflineId(0), last: OfflineId(u64::MAX) };
    store.run_one(NOW, all).unwrap();
    assert_eq!(waiting(store, 1), ["for one"]);
    assert_eq!(waiting(store, 3), ["for three"]);
}

fn deleting_an_account_takes_its_roster_and_messages(store: &mut dyn Backend) {
    create(store, Some(1)).unwrap();
    create(store, Some(2)).unwrap();
    for account in [1, 2] {
        push(store, account, "m").unwrap();
        put(store, account, listed("a@x")).unwrap();
    }
    let mut batch = vec![
        Request { token: 1, op: Op::PushOffline { number: number(1), stamp: NOW, stanza: b"late".to_vec() } },
        Request { token: 2, op: Op::DeleteAccount { number: number(1) } },
        Request { token: 3, op: Op::LoadRoster { number: number(1) } },
    ];
    let mut replies = Vec::new();
    store.run(NOW, &mut batch, &mut replies);
    assert_eq!(replies[1].answer, Ok(Answer::Done));
    assert_eq!(replies[2].answer, Err(StoreError::NoSuchAccount));
    assert_eq!(waiting(store, 2), ["m"]);
    assert_eq!(roster(store, 2).items, [listed("a@x")]);
}

fn a_batch_is_answered_in_order_and_sees_itself(store: &mut dyn Backend) {
    let ops = [
        Op::CreateAccount { number: None, name: None, credentials: credentials(1) },
        Op::PushOffline { number: number(10_001), stamp: NOW, stanza: b"m".to_vec() },
        Op::PushOffline { number: number(10_002), stamp: NOW, stanza: b"m".to_vec() },
        Op::CountOffline { number: number(10_001) },
    ];
    let mut batch: Vec<_> = (40..).zip(ops).map(|(token, op)| Request { token, op }).collect();
    let mut replies = Vec::new();
    store.run(NOW, &mut batch, &mut replies);
    assert!(batch.is_empty());
    let answers: Vec<_> = replies.into_iter().map(|reply| (reply.token, reply.answer)).collect();
    assert_eq!(
        answers,
        [
            (40, Ok(Answer::Created(number(10_001)))),
            (41, Ok(Answer::Pushed(OfflineId(1)))),
            (42, Err(StoreError::NoSuchAccount)),
            (43, Ok(Answer::OfflineCount { rows: 1, bytes: 1 })),
        ]
    );
}
